//! Reads a service account's token as a relying party does: its signature by the cluster's published keys (RFC 7515, RFC 7517), then its claims.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::error::BenchError;

/// The claims of an RS256 token that a key of `jwks` signed.
pub fn verified_claims(token: &str, jwks: &Value) -> Result<Value, BenchError> {
    let wrong = |found: &str| BenchError::answer("the token", found, "an RS256 token of one of the API server's keys");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| wrong("no signature"))?;
    let (header, claims) = signed.split_once('.').ok_or_else(|| wrong("no claims"))?;
    let header = json(header)?;
    let keys = jwks["keys"].as_array().ok_or_else(|| wrong("no keys"))?;
    let of_token =
        |key: &&Value| key["kid"] == header["kid"] && key["kty"] == "RSA" && key["alg"] == header["alg"] && header["alg"] == "RS256";
    let key = keys.iter().find(of_token).ok_or_else(|| wrong(&format!("the header {header}, and the keys {jwks}")))?;
    let part = |name: &str| decode(key[name].as_str().unwrap_or_default());
    let key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(signature)?).map_err(|_| wrong("another signature"))?;
    json(claims)
}

fn json(part: &str) -> Result<Value, BenchError> {
    let bytes = decode(part)?;
    serde_json::from_slice(&bytes).map_err(|error| BenchError::answer("a part of a token", error.to_string(), "JSON"))
}

fn decode(part: &str) -> Result<Vec<u8>, BenchError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| BenchError::answer("a part of a token", error.to_string(), "base64url"))
}
