//! Whether claims name a key: the one that the token is verified by vouches for itself then.

use super::claims::{Claims, Encoding};
use crate::hex;
use crate::jose::{Jwk, PublicKey};
use crate::json;
use serde_json::{Map, Value};

/// Whether `key` stands anywhere in the claims, as a JWK (RFC 7517) or a `COSE_Key` (RFC 9053, 7).
pub(super) fn names(claims: &Claims, key: &PublicKey) -> bool {
    let is = |object: &Map<String, Value>| match claims.encoding() {
        Encoding::Json => is_jwk(object, key),
        Encoding::Cbor => is_cose_key(object, key),
    };
    any(claims.members(), &is)
}

fn any(object: &Map<String, Value>, is: &impl Fn(&Map<String, Value>) -> bool) -> bool {
    is(object) || object.values().any(|value| within(value, is))
}

fn within(value: &Value, is: &impl Fn(&Map<String, Value>) -> bool) -> bool {
    match value {
        Value::Object(object) => any(object, is),
        Value::Array(all) => all.iter().any(|value| within(value, is)),
        _ => false,
    }
}

fn is_jwk(object: &Map<String, Value>, key: &PublicKey) -> bool {
    if !object.contains_key("kty") {
        return false;
    }
    let text = Value::Object(object.clone()).to_string();
    json::parse::<Jwk<'_>>(text.as_bytes()).is_ok_and(|jwk| PublicKey::of_jwk(&jwk).is_ok_and(|other| other == *key))
}

fn is_cose_key(object: &Map<String, Value>, key: &PublicKey) -> bool {
    let is = |name: &str, number: &[u8]| object.get(name).and_then(Value::as_str) == Some(&format!("h{}", hex::encode(number)));
    match key {
        PublicKey::Rsa { n, e } => is("-1", n) && is("-2", e),
        PublicKey::Ec { x, y, .. } => is("-2", x) && is("-3", y),
        PublicKey::Ed25519 { x } => is("-2", x),
    }
}
