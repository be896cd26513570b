//! Tokens as issuers of ours would make them, by hand; keys made here.

use crate::cose::tests::{array, bytes, int, map, signed_bytes};
use crate::eat::Key;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaKeyPair,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key with one algorithm of its own.
pub(super) struct Signer {
    pub(super) name: &'static str,
    pub(super) number: i64,
    pub(super) sign: Sign,
    pub(super) jwk: Value,
    pub(super) spki: Vec<u8>,
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ecdsa(name: &'static str, number: i64, curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> Signer {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)});
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
    Signer { name, number, sign: Box::new(move |signed| pair.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()), jwk, spki }
}

pub(super) fn p256() -> Signer {
    ecdsa("ES256", -7, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
}

fn ed25519() -> Signer {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(&public)});
    // RFC 8410, 4.
    let spki = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &public].concat();
    Signer { name: "EdDSA", number: -8, sign: Box::new(move |signed| pair.sign(signed).as_ref().to_vec()), jwk, spki }
}

fn rsa() -> Vec<Signer> {
    static PAIR: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
    let pair = PAIR.get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
    // The modulus of an RSAPublicKey of 2048 bits stands behind nine bytes of tags, lengths and sign.
    let jwk = json!({"kty": "RSA", "n": base64url(&pair.public_key().as_ref()[9..265]), "e": "AQAB"});
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
    macro_rules! signer {
        ($name:literal, $number:literal, $padding:expr) => {{
            let pair = pair.clone();
            let sign: Sign = Box::new(move |signed| {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign($padding, &SystemRandom::new(), signed, &mut signature).unwrap();
                signature
            });
            Signer { name: $name, number: $number, sign, jwk: jwk.clone(), spki: spki.clone() }
        }};
    }
    vec![
        signer!("RS256", -257, &RSA_PKCS1_SHA256),
        signer!("RS384", -258, &RSA_PKCS1_SHA384),
        signer!("RS512", -259, &RSA_PKCS1_SHA512),
        signer!("PS256", -37, &RSA_PSS_SHA256),
        signer!("PS384", -38, &RSA_PSS_SHA384),
        signer!("PS512", -39, &RSA_PSS_SHA512),
    ]
}

/// One of every algorithm that is taken.
pub(super) fn signers() -> Vec<Signer> {
    let curves = [
        p256(),
        ecdsa("ES384", -35, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        ecdsa("ES512", -36, "P-521", &ECDSA_P521_SHA512_FIXED_SIGNING),
        ed25519(),
    ];
    curves.into_iter().chain(rsa()).collect()
}

pub(super) fn jwk(of: &Signer) -> Key {
    Key::of_jwk(of.jwk.to_string().as_bytes()).unwrap()
}

pub(super) fn spki(of: &Signer) -> Key {
    Key::of_spki(&of.spki).unwrap()
}

pub(super) fn jwt(signer: &Signer, claims: &Value) -> String {
    jwt_with(&json!({"typ": "JWT", "alg": signer.name}), signer, claims)
}

pub(super) fn jwt_with(header: &Value, signer: &Signer, claims: &Value) -> String {
    jwt_of(&header.to_string(), signer, &claims.to_string())
}

pub(super) fn jwt_of(header: &str, signer: &Signer, claims: &str) -> String {
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let signature = (signer.sign)(signed.as_bytes());
    format!("{signed}.{}", base64url(&signature))
}

pub(super) fn cwt(signer: &Signer, claims: &[u8]) -> Vec<u8> {
    cwt_with(&map(&[(int(1), int(signer.number))]), &map(&[]), signer, claims)
}

pub(super) fn cwt_with(protected: &[u8], unprotected: &[u8], signer: &Signer, claims: &[u8]) -> Vec<u8> {
    let signature = (signer.sign)(&signed_bytes(protected, claims));
    array(&[bytes(protected), unprotected.to_vec(), bytes(claims), bytes(&signature)])
}
