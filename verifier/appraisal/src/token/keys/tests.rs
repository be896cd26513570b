#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::token::tests::{EC, RSA, ec_jwk, rsa_jwk};

fn parse(keys: &Value) -> Result<ClusterKeys, JwksError> {
    ClusterKeys::parse("c", "i", json!({"keys": keys}).to_string().as_bytes(), true)
}

fn changed(mut jwk: Value, member: &str, value: Value) -> JwksError {
    jwk[member] = value;
    parse(&json!([jwk])).unwrap_err()
}

#[test]
fn a_jwks_as_kubernetes_serves_it() {
    let keys = parse(&json!([rsa_jwk(&RSA, "a"), ec_jwk(&EC, "b")])).unwrap();
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(keys.cluster(), "c");
}

#[test]
fn keys_that_cannot_be_pinned() {
    let (rsa, ec) = (rsa_jwk(&RSA, "a"), ec_jwk(&EC, "b"));
    let unsupported = |error| matches!(error, JwksError::Unsupported { .. });
    assert!(unsupported(changed(rsa.clone(), "kty", "oct".into())));
    assert!(unsupported(changed(rsa.clone(), "use", "enc".into())));
    assert!(unsupported(changed(rsa.clone(), "alg", "HS256".into())));
    assert!(unsupported(changed(rsa.clone(), "alg", "RS512".into())));
    assert!(unsupported(changed(rsa.clone(), "d", "AQAB".into())));
    assert!(unsupported(changed(ec.clone(), "crv", "P-384".into())));
    assert_eq!(changed(rsa.clone(), "kid", Value::Null), JwksError::NoKeyId(1));
    assert_eq!(parse(&json!([rsa, rsa])).unwrap_err(), JwksError::SameKeyId("a".to_owned()));
    assert_eq!(parse(&json!([])).unwrap_err(), JwksError::Count(0));
    assert_eq!(parse(&Value::from(vec![rsa; MOST_KEYS + 1])).unwrap_err(), JwksError::Count(MOST_KEYS + 1));
    assert!(matches!(ClusterKeys::parse("c", "i", br#"{"keys":[],"keys":[]}"#, true).unwrap_err(), JwksError::Malformed(_)));
}

#[test]
fn numbers_that_are_no_key() {
    let (rsa, ec) = (rsa_jwk(&RSA, "a"), ec_jwk(&EC, "b"));
    let invalid = |error| matches!(error, JwksError::Invalid { .. });
    let zeros = |count| Value::from(URL_SAFE_NO_PAD.encode(vec![0u8; count]));
    let of_bits = |bits: usize| Value::from(URL_SAFE_NO_PAD.encode(vec![0xffu8; bits / 8]));
    assert!(invalid(changed(rsa.clone(), "n", of_bits(2040))));
    assert!(invalid(changed(rsa.clone(), "n", of_bits(4104))));
    assert!(invalid(changed(rsa.clone(), "n", Value::Null)));
    assert!(invalid(changed(rsa.clone(), "e", "Aw".into())));
    assert!(invalid(changed(rsa.clone(), "e", "AQAA".into())));
    assert!(invalid(changed(rsa, "e", "AAEAAQ".into())));
    assert!(invalid(changed(ec.clone(), "x", zeros(32))));
    assert!(invalid(changed(ec, "y", zeros(31))));
}
