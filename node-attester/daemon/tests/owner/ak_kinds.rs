//! The two kinds of attestation key: each is made, kept and used, and the configuration says which is made.

use std::{fs, path::Path};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use podseal_node_attester::{
    config::AkKind,
    owner::{Owner, TpmError},
};
use podseal_protocol::{Digest, evidence::Part};

use super::{
    collect, config, make_credential, modulus, name,
    swtpm::{Maker, Swtpm},
};

/// TPMA_OBJECT: sign, restricted, userWithAuth, noDA, sensitiveDataOrigin, fixedParent, fixedTPM (TPM 2.0 Part 2, section 8.3).
const ATTRIBUTES: [u8; 4] = [0x00, 0x05, 0x04, 0x72];

fn owner(tpm: &Swtpm, dir: &Path, kind: Option<AkKind>) -> Owner {
    Owner::start(config(tpm, dir, kind)).unwrap()
}

/// Everything of a TPMT_PUBLIC before the key itself (TPM 2.0 Part 2, section 12.2.4): type, name algorithm, attributes, no policy, no symmetric
/// cipher, scheme with SHA-256; then 2048 bits and the exponent's short form, or NIST P-256 and no key derivation scheme.
fn head(kind: AkKind) -> Vec<u8> {
    let (alg, scheme, rest) = match kind {
        AkKind::Rsa => (0x01, 0x14, &[0x08, 0x00, 0, 0, 0, 0][..]),
        AkKind::Ecc => (0x23, 0x18, &[0x00, 0x03, 0x00, 0x10][..]),
    };
    [&[0x00, alg, 0x00, 0x0b][..], &ATTRIBUTES, &[0, 0, 0x00, 0x10, 0x00, scheme, 0x00, 0x0b], rest].concat()
}

/// Two numbers of the curve, each behind its length, and nothing after them.
fn two_numbers(bytes: &[u8]) -> [Vec<u8>; 2] {
    let (first, rest) = bytes[2..].split_at(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let second = &rest[2..];
    assert_eq!(second.len(), usize::from(u16::from_be_bytes([rest[0], rest[1]])));
    [first, second].map(|number| [vec![0; 32 - number.len()], number.to_vec()].concat())
}

/// A TPMT_SIGNATURE (TPM 2.0 Part 2, section 11.3.4) of this kind, of these bytes, under this key.
#[track_caller]
pub(crate) fn verify(kind: AkKind, public: &[u8], attest: &[u8], signature: &[u8]) {
    assert_eq!(public[..head(kind).len()], head(kind));
    let holds = match kind {
        AkKind::Rsa => {
            // TPM_ALG_RSASSA, TPM_ALG_SHA256, 256 bytes.
            assert_eq!(signature[..6], [0x00, 0x14, 0x00, 0x0b, 0x01, 0x00]);
            let key = RsaPublicKeyComponents { n: modulus(public), e: &[1, 0, 1] };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, attest, &signature[6..])
        }
        AkKind::Ecc => {
            // TPM_ALG_ECDSA, TPM_ALG_SHA256.
            assert_eq!(signature[..4], [0x00, 0x18, 0x00, 0x0b]);
            let point = [vec![4], two_numbers(&public[head(kind).len()..]).concat()].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(attest, &two_numbers(&signature[4..]).concat())
        }
    };
    holds.expect("the signature covers the bytes that are sent");
}

async fn quotes(owner: &Owner, kind: AkKind, public: &[u8]) {
    let binding = Digest::of(b"binding");
    let parts = collect(owner, binding).await.unwrap();
    let [Part::TpmQuote { attest, signature, .. }, Part::BootLog(_)] = parts.as_slice() else { panic!("{parts:?}") };
    verify(kind, public, attest, signature);
    assert!(attest.windows(34).any(|w| w == [&[0, 32], binding.as_ref()].concat()), "the qualifying data is the binding");
}

async fn is_made_kept_and_used(kind: AkKind) {
    let maker = Maker::new();
    let mut tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let first = owner(&tpm, dir.path(), Some(kind));
    let identity = first.enrol().await.unwrap();
    assert_eq!(first.signer().await.unwrap(), name(&identity.ak_public));
    quotes(&first, kind, &identity.ak_public).await;
    let secret = [7; 32];
    let (credential, encrypted) = make_credential(dir.path(), &identity.ek_public, &name(&identity.ak_public), &secret);
    assert_eq!(first.activate(credential, encrypted).await.unwrap(), secret);
    drop(first);

    // Another attester, another boot: the key is that of the file.
    let kept = fs::read(dir.path().join("ak")).unwrap();
    tpm.power_off();
    tpm.power_on();
    let second = owner(&tpm, dir.path(), Some(kind));
    assert_eq!(second.signer().await.unwrap(), name(&identity.ak_public));
    quotes(&second, kind, &identity.ak_public).await;
    assert_eq!(second.enrol().await.unwrap().ak_public, identity.ak_public);
    assert_eq!(fs::read(dir.path().join("ak")).unwrap(), kept);
}

#[tokio::test]
async fn an_ecc_ak_is_made_kept_and_used() {
    is_made_kept_and_used(AkKind::Ecc).await;
}

#[tokio::test]
async fn an_rsa_ak_is_made_kept_and_used() {
    is_made_kept_and_used(AkKind::Rsa).await;
}

#[tokio::test]
async fn where_the_configuration_says_nothing_a_key_that_is_there_is_kept() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let identity = owner(&tpm, dir.path(), Some(AkKind::Rsa)).enrol().await.unwrap();
    let silent = owner(&tpm, dir.path(), None);
    assert_eq!(silent.enrol().await.unwrap().ak_public, identity.ak_public);
    quotes(&silent, AkKind::Rsa, &identity.ak_public).await;
    fs::remove_file(dir.path().join("ak")).unwrap();
    assert!(silent.enrol().await.unwrap().ak_public.starts_with(&head(AkKind::Ecc)));
}

#[tokio::test]
async fn a_key_of_another_kind_than_configured_is_not_enrolled_and_still_quotes() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    for (held, said) in [(AkKind::Rsa, AkKind::Ecc), (AkKind::Ecc, AkKind::Rsa)] {
        let dir = tempfile::tempdir().unwrap();
        let identity = owner(&tpm, dir.path(), Some(held)).enrol().await.unwrap();
        let other = owner(&tpm, dir.path(), Some(said));
        let error = other.enrol().await.expect_err("a key of another kind");
        assert!(matches!(error, TpmError::OtherKeyKind { found, wanted, .. } if (found, wanted) == (held, said)), "{error}");
        let remedy = format!(
            "set tpm.ak to {}; only where this node is not enrolled yet, remove the file and run `podseal-node-attester enroll`",
            held.as_str()
        );
        assert!(error.to_string().ends_with(&remedy), "{error}");
        quotes(&other, held, &identity.ak_public).await;
        fs::remove_file(dir.path().join("ak")).unwrap();
        assert!(other.enrol().await.unwrap().ak_public.starts_with(&head(said)), "the remedy is one");
    }
}

#[tokio::test]
async fn a_key_file_of_neither_kind_is_refused() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let identity = owner(&tpm, dir.path(), None).enrol().await.unwrap();
    let ak = dir.path().join("ak");
    let mut file = fs::read(&ak).unwrap();
    let at = file.windows(identity.ak_public.len()).position(|w| w == identity.ak_public).unwrap();
    // TPM_ALG_KEYEDHASH.
    file[at + 1] = 0x08;
    fs::write(&ak, file).unwrap();
    let error = owner(&tpm, dir.path(), None).signer().await.expect_err("no asymmetric key");
    assert!(matches!(&error, TpmError::DamagedKeyFile { problem, .. } if problem.contains("neither an RSA nor an ECC key")), "{error}");
}
