//! Sealing: known answers, one context, one padding.

use podseal_protocol::{
    Digest,
    cbor::{Encoder, Problem},
    key::PublicKey,
    seal::{OpeningKey, SealError, SecretFile, decode_secrets, encode_secrets, import_info, seal},
};
use zeroize::Zeroizing;

use crate::{
    codecs::{pad, unpad},
    fixtures::{LIMITS, files, verifier},
};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(seed: u8) -> OpeningKey {
    OpeningKey::from_seed(Zeroizing::new([seed; 32]))
}

/// RFC 9180, A.3.1: `DeriveKeyPair(ikmR)` of this KEM is `pkRm`, and with `ikmE` the encapsulated key is `enc`, whatever the AEAD.
#[test]
fn the_kem_is_rfc_9180s() {
    let ikm_r = hex("668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550");
    let ikm_e = hex("4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e");
    let recipient = OpeningKey::from_seed(Zeroizing::new(ikm_r.try_into().unwrap())).public().unwrap();
    let pk_rm = hex(concat!(
        "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82",
        "6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0"
    ));
    assert_eq!(recipient.as_bytes().as_slice(), pk_rm);
    let enc = hex(concat!(
        "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9",
        "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
    ));
    let sealed = seal(&recipient, b"info", b"aad", b"", &Zeroizing::new(ikm_e.try_into().unwrap())).unwrap();
    assert_eq!(&sealed[..65], enc);
}

/// Worked out with another implementation of HPKE, in another language, over another cryptographic library.
#[test]
fn sealing_with_a_fixed_seed() {
    let sealed = seal(&key(0x11).public().unwrap(), b"info", b"aad", b"a password", &Zeroizing::new([0x22; 32])).unwrap();
    let wanted = hex(concat!(
        "0449c42cadce500426240cb217c1974ca8e310937b2a7d6e43acce12b4b31d395e",
        "bc4a7bc8897b03be18aaa6b04c8b45e77641144cd44c3b0aaeab10eae1e6cc41",
        "ed49e0c720e1a9163ef8d50f77b5ab4597733ed8509a473c13d4"
    ));
    assert_eq!(sealed, wanted);
    assert_eq!(*key(0x11).open(b"info", b"aad", &wanted).unwrap(), b"a password");
}

#[test]
fn ciphertext_rows_swapped_or_altered_do_not_open() {
    let sealed = seal(&key(1).public().unwrap(), b"info", b"aad", b"plain", &Zeroizing::new([2; 32])).unwrap();
    assert_eq!(*key(1).open(b"info", b"aad", &sealed).unwrap(), b"plain");
    let refuses = |key: &OpeningKey, info: &[u8], aad: &[u8], sealed: &[u8]| key.open(info, aad, sealed) == Err(SealError::DoesNotOpen);
    assert!(refuses(&key(2), b"info", b"aad", &sealed));
    assert!(refuses(&key(1), b"other", b"aad", &sealed));
    assert!(refuses(&key(1), b"info", b"other", &sealed));
    assert!(refuses(&key(1), b"infoa", b"ad", &sealed));
    for end in 0..sealed.len() {
        assert!(refuses(&key(1), b"info", b"aad", &sealed[..end]));
    }
    for position in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[position] ^= 0x40;
        assert!(refuses(&key(1), b"info", b"aad", &altered), "byte {position}");
    }
    let other = seal(&key(1).public().unwrap(), b"info", b"aad", b"plain", &Zeroizing::new([3; 32])).unwrap();
    assert_ne!(sealed, other, "fresh randomness, another ciphertext");
    assert!(refuses(&key(1), b"info", b"aad", &[&sealed[..65], &other[65..]].concat()));
}

/// What an operator sealed for one secret and one verifier is of no use for another.
#[test]
fn swapped_secret_row_at_import() {
    let import: PublicKey = key(7).public().unwrap();
    let info = import_info(&verifier(), "payments/db");
    let sealed = seal(&import, &info, b"", b"value", &Zeroizing::new([8; 32])).unwrap();
    assert_eq!(*key(7).open(&info, b"", &sealed).unwrap(), b"value");
    for other in [import_info(&verifier(), "payments/api-tls"), import_info(&Digest([0; 32]), "payments/db")] {
        assert_eq!(key(7).open(&other, b"", &sealed), Err(SealError::DoesNotOpen));
    }
}

fn padding(padded: &[u8]) -> Option<&'static str> {
    match decode_secrets(padded, &LIMITS) {
        Err(SealError::Malformed(malformed)) => Some(malformed.item),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[test]
fn noncanonical_padding() {
    let padded = encode_secrets(&files());
    assert_eq!((padded.len(), padding(&padded)), (512, None));
    let content = unpad(&padded);
    assert_eq!(pad(content), *padded);

    let with = |tail: &[u8], length: usize| {
        let mut bytes = [content, tail].concat();
        bytes.resize(length, 0);
        bytes
    };
    assert_eq!(padding(&with(&[0x80], 1024)), Some("secrets.padding"), "a block too many");
    assert_eq!(padding(&with(&[0x80], 511)), Some("secrets.padding"), "a byte too few");
    assert_eq!(padding(&with(&[0x80], content.len() + 1)), Some("secrets.padding"), "no zeros");
    // The last value ends in 80 00 00, which reads as a mark: then the content is too short by as much.
    assert_eq!(padding(&with(&[], 512)), Some("secret.value"), "no mark");
    assert_eq!(padding(&with(&[0x81], 512)), Some("secrets.padding"), "another mark");
    assert_eq!(padding(&with(&[0x80, 1], 512)), Some("secrets.padding"), "not zeros");
    assert_eq!(padding(&[]), Some("secrets.padding"));
    assert_eq!(padding(&[0; 512]), Some("secrets.padding"));
    for position in content.len()..512 {
        let mut altered = padded.to_vec();
        altered[position] ^= 0x10;
        assert!(padding(&altered).is_some(), "byte {position}");
    }
}

/// The length of a sealed value tells its multiple of 512 and no more.
#[test]
fn padding_hides_the_length() {
    let length = |value: usize| encode_secrets(&[SecretFile { file: "db".to_owned(), value: Zeroizing::new(vec![7; value]) }]).len();
    let overhead = unpad(&encode_secrets(&[SecretFile { file: "db".to_owned(), value: Zeroizing::new(vec![7; 300]) }])).len() - 300;
    assert_eq!(length(0), 512);
    assert_eq!(length(511 - overhead), 512);
    assert_eq!(length(512 - overhead), 1024);
    assert_eq!(length(1023 - overhead), 1024);
}

#[test]
fn noncanonical_secrets_file_names() {
    for name in ["", "..", "a/b", ".x", "a b"] {
        let content = Encoder::message("podseal.secrets.v1", 2).array(1).array(2).text(name).bytes(b"v").finish();
        assert_eq!(padding(&pad(&content)), Some("secret.file"), "{name:?}");
    }
    let twice = Encoder::message("podseal.secrets.v1", 2).array(2).array(2).text("a").bytes(b"").array(2).text("a").bytes(b"").finish();
    let found = decode_secrets(&pad(&twice), &LIMITS);
    assert!(matches!(found, Err(SealError::Malformed(m)) if m.problem == Problem::Twice));
}
