use super::forge::{appraise, binary, signed};
use crate::ima::{Keyring, KeyringError, List, Signature, Survey, appraise_survey};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256K1_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podseal_protocol::Digest;

const CONTENTS: &[u8] = b"dd 9.1";

fn header(version: u8, hash: u8, key: u32, signature: &[u8]) -> Vec<u8> {
    [&[3, version, hash][..], &key.to_be_bytes(), &u16::try_from(signature.len()).unwrap().to_be_bytes(), signature].concat()
}

fn keyring(keys: &[(u32, &[u8])]) -> Keyring {
    let pubkeys = keys.iter().map(|(_, key)| STANDARD.encode(key)).collect::<Vec<_>>();
    let keyids = keys.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    Keyring::parse(serde_json::json!({ "pubkeys": pubkeys, "keyids": keyids }).to_string().as_bytes()).unwrap()
}

/// What becomes of the signature, which only a bad one fails.
fn told(digest: &[u8], signature: &[u8], keyring: &Keyring) -> String {
    let bytes = binary(&[signed("/usr/bin/dd", digest, signature)]);
    let survey = Survey::of(List::Binary(&bytes), &[], keyring, |_, _| {}).unwrap();
    let (_, failed) = appraise(&[], |checks| appraise_survey(&survey, checks).then_some(()));
    let bad = matches!(survey.signatures[..], [Signature::Bad(_)]);
    assert_eq!(failed, if bad { vec!["ima.file_signature"] } else { vec![] });
    survey.signatures[0].to_string()
}

#[test]
fn rsa_and_secp256k1() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut by_rsa = vec![0; 256];
    rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), CONTENTS, &mut by_rsa).unwrap();
    let curve = EcdsaKeyPair::generate(&ECDSA_P256K1_SHA256_ASN1_SIGNING).unwrap();
    let by_curve = curve.sign(&SystemRandom::new(), CONTENTS).unwrap();
    let spki: [PublicKeyX509Der<'_>; 2] = [rsa.public_key().as_der().unwrap(), curve.public_key().as_der().unwrap()];
    let keyring = keyring(&[(1, spki[0].as_ref()), (0xf345_2d23, spki[1].as_ref())]);
    let digest = Digest::of(CONTENTS).0;
    assert_eq!(told(&digest, &header(2, 4, 1, &by_rsa), &keyring), "ok, key 00000001");
    assert_eq!(told(&digest, &header(2, 4, 0xf345_2d23, by_curve.as_ref()), &keyring), "ok, key f3452d23");
    assert_eq!(told(&digest, &header(2, 4, 1, by_curve.as_ref()), &keyring), "bad, key 00000001");
    assert_eq!(told(&Digest::of(b"dd 9.2").0, &header(2, 4, 1, &by_rsa), &keyring), "bad, key 00000001");
    assert_eq!(told(&digest, &header(2, 5, 1, &by_rsa), &keyring), "bad, key 00000001");
    assert_eq!(told(&digest, &header(2, 4, 2, &by_rsa), &keyring), "unknown key 00000002");
    assert_eq!(told(&digest, &header(1, 4, 1, &by_rsa), &keyring), "unsupported");
    assert_eq!(told(&digest, &header(2, 2, 1, &by_rsa), &keyring), "unsupported");
    assert_eq!(told(&digest, &[header(2, 4, 1, &by_rsa), vec![0]].concat(), &keyring), "unsupported");
    assert_eq!(told(&digest, &[], &keyring), "no signature");
}

#[test]
fn bad_signature_of_a_file() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut signature = vec![0; 256];
    rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), CONTENTS, &mut signature).unwrap();
    let spki: PublicKeyX509Der<'_> = rsa.public_key().as_der().unwrap();
    let keyring = keyring(&[(1, spki.as_ref())]);
    let failed = |digest: &Digest| {
        let bytes = binary(&[signed("/usr/bin/dd", &digest.0, &header(2, 4, 1, &signature))]);
        let survey = Survey::of(List::Binary(&bytes), &[], &keyring, |_, _| {}).unwrap();
        appraise(&[], |checks| appraise_survey(&survey, checks).then_some(())).1
    };
    assert_eq!(failed(&Digest::of(CONTENTS)), [""; 0]);
    assert_eq!(failed(&Digest::of(b"dd 9.2")), ["ima.file_signature"]);
}

#[test]
fn keyrings() {
    let parse = |text: &str| Keyring::parse(text.as_bytes());
    assert!(parse(r#"{"pubkeys": [], "keyids": []}"#).is_ok());
    assert_eq!(parse(r#"{"pubkeys": ["AA=="], "keyids": []}"#), Err(KeyringError::Ids { keys: 1, ids: 0 }));
    assert_eq!(parse(r#"{"pubkeys": ["?"], "keyids": [1]}"#), Err(KeyringError::Base64(0)));
    assert!(matches!(parse(r#"{"pubkeys": {}}"#), Err(KeyringError::Json(_))));
}
