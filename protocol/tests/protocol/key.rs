//! Certified keys: the pinned root, one use, its time; and P-256 in one form only.

use podseal_protocol::{
    Digest,
    cbor::Problem,
    key::{CertifiedKey, KeyError, KeyUse, PublicKey, SecretKey},
};

use crate::{
    codecs::certify,
    fixtures::{LIMITS, NOW, activation_reply, certified, receipt_key, root, statement, verifier},
};

fn verify(bytes: &[u8], key_use: KeyUse, now: Option<u64>) -> Result<CertifiedKey, KeyError> {
    CertifiedKey::verify(bytes, &verifier(), key_use, now, &LIMITS)
}

fn honest_twin() {
    let key = verify(&certified(), KeyUse::Receipt, Some(NOW)).unwrap();
    assert_eq!(key.p256(), Some(receipt_key().public()));
    assert_eq!(key.as_bytes(), receipt_key().public().as_bytes());
}

#[test]
fn forged_delivery_key_of_another_root() {
    honest_twin();
    let other = SecretKey::from_scalar(&[9; 32]).unwrap();
    let forged = statement(&receipt_key().public(), KeyUse::Receipt).certify(&other);
    let found = Digest::of(&other.public().to_spki());
    assert_eq!(verify(&forged, KeyUse::Receipt, None), Err(KeyError::OtherVerifier { wanted: verifier(), found }));
}

#[test]
fn forged_delivery_key_that_the_root_did_not_sign() {
    honest_twin();
    let other = SecretKey::from_scalar(&[9; 32]).unwrap();
    let genuine = certified();
    let forged = statement(&other.public(), KeyUse::Receipt).certify(&root());
    // The statement is the forger's, the signature stays the genuine one.
    let grafted = [&forged[..forged.len() - 64], &genuine[genuine.len() - 64..]].concat();
    assert_eq!(verify(&grafted, KeyUse::Receipt, None), Err(KeyError::RootSignature));
}

#[test]
fn forged_delivery_key_altered_byte_at_every_position() {
    honest_twin();
    for position in 0..certified().len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut altered = certified();
            altered[position] ^= flip;
            assert!(verify(&altered, KeyUse::Receipt, None).is_err(), "byte {position}");
        }
    }
}

#[test]
fn forged_delivery_key_of_another_use() {
    honest_twin();
    for (certified_for, wanted) in [
        (KeyUse::Import, KeyUse::Receipt),
        (KeyUse::Log, KeyUse::Receipt),
        (KeyUse::Receipt, KeyUse::Import),
        (KeyUse::Receipt, KeyUse::Log),
    ] {
        let bytes = statement(&receipt_key().public(), certified_for).certify(&root());
        assert!(verify(&bytes, certified_for, None).is_ok());
        assert_eq!(verify(&bytes, wanted, None), Err(KeyError::OtherUse), "{certified_for:?} as {wanted:?}");
    }
}

#[test]
fn forged_delivery_key_expired() {
    let (not_before, not_after) = (NOW, NOW + 1000);
    for now in [NOW, NOW + 999] {
        assert!(verify(&certified(), KeyUse::Receipt, Some(now)).is_ok(), "{now}");
    }
    for now in [0, NOW - 1, NOW + 1000, u64::MAX] {
        let wanted = Err(KeyError::NotValidNow { not_before, not_after, now });
        assert_eq!(verify(&certified(), KeyUse::Receipt, Some(now)), wanted);
        assert!(verify(&certified(), KeyUse::Receipt, None).is_ok(), "no clock, no age");
    }
}

#[test]
fn forged_delivery_key_root_that_is_no_key() {
    // Its digest is the pinned one: whoever pinned it pinned garbage, and nothing verifies under it.
    let garbage =
        podseal_protocol::cbor::Encoder::message("podseal.certified-key.v1", 4).bytes(b"spki").bytes(b"").bytes(&[0; 64]).finish();
    let found = CertifiedKey::verify(&garbage, &Digest::of(b"spki"), KeyUse::Receipt, None, &LIMITS);
    assert!(matches!(found, Err(KeyError::Malformed(m)) if m.item == "certified-key.root" && m.problem == Problem::WrongValue));
}

#[test]
fn noncanonical_statement_signed_by_the_root() {
    assert!(matches!(verify(&certify(b""), KeyUse::Receipt, None), Err(KeyError::Malformed(_))));
    assert!(
        matches!(verify(&certify(&activation_reply().encode()), KeyUse::Receipt, None), Err(KeyError::Malformed(m)) if m.item == "podseal.key.v1")
    );
}

/// n - s in place of s satisfies the same equation; it is another encoding of the same signature, and there is only one.
#[test]
fn noncanonical_signature() {
    /// The order of the group (FIPS 186-5; SP 800-186, 3.2.1.3).
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
        0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    for message in 0..32u8 {
        let signature = root().sign(&[message]);
        assert!(root().public().verifies(&[message], &signature));
        assert!(signature[32] < 0x80, "s is in its lower half");
        let mut borrow = 0i16;
        let mut high = signature;
        for i in (0..32).rev() {
            let difference = i16::from(ORDER[i]) - i16::from(signature[32 + i]) - borrow;
            borrow = i16::from(difference < 0);
            high[32 + i] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        assert!(!root().public().verifies(&[message], &high));
    }
    for zero in [[0; 64], [[0; 32], [1; 32]].concat().try_into().unwrap(), [[1; 32], [0; 32]].concat().try_into().unwrap(), [0xff; 64]] {
        assert!(!root().public().verifies(b"m", &zero));
    }
}

/// RFC 6979, A.2.5: P-256, SHA-256, "sample"; s there is high, here n - s stands for it.
#[test]
fn signatures_are_deterministic() {
    let scalar = Digest::from_hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721").unwrap();
    let key = SecretKey::from_scalar(&scalar.0).unwrap();
    let signature = key.sign(b"sample");
    assert_eq!(Digest(signature[..32].try_into().unwrap()).to_string(), "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
    assert_eq!(Digest(signature[32..].try_into().unwrap()).to_string(), "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9");
}

#[test]
fn points_have_one_form() {
    let key = root().public();
    let spki = key.to_spki();
    assert_eq!(PublicKey::from_spki(&spki), Some(key));
    assert_eq!(PublicKey::from_bytes(key.as_bytes()), Some(key));
    let compressed = [&[2 | (key.as_bytes()[64] & 1)], &key.as_bytes()[1..33]].concat();
    assert_eq!(PublicKey::from_bytes(&compressed), None);
    assert_eq!(PublicKey::from_bytes(&[0]), None);
    assert_eq!(PublicKey::from_spki(&[&spki[..], &[0]].concat()), None);
    for position in 0..27 {
        let mut altered = spki.clone();
        altered[position] ^= 1;
        assert_eq!(PublicKey::from_spki(&altered), None, "byte {position}");
    }
    assert!(SecretKey::from_scalar(&[0; 32]).is_none());
    assert!(SecretKey::from_scalar(&[0xff; 32]).is_none());
}

#[test]
fn digests_are_written_in_hex() {
    let digest = Digest::of(b"abc");
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((digest.to_string(), format!("{digest:?}")), (text.to_owned(), format!("sha256:{text}")));
    assert_eq!((Digest::from_hex(text), Digest::from_hex(&format!("sha256:{text}"))), (Some(digest), Some(digest)));
    for wrong in ["", &text[1..], &format!("0{text}"), &format!("sha512:{text}"), &text.replace('b', "+"), &text.replace("ba", "ä")] {
        assert_eq!(Digest::from_hex(wrong), None, "{wrong}");
    }
}
