//! What the profile of a claims set does not allow.

use super::claims::{Claims, Encoding};
use super::{psa, result};
use serde_json::Value;

/// What is against the profile that the claims name, or against RFC 9711 itself.
pub(super) fn problem(claims: &Claims) -> Option<String> {
    nonce(claims).or_else(|| psa::problem(claims)).or_else(|| result::problem(claims))
}

/// RFC 9711, 4.1: 8 to 64 bytes, in JSON 8 to 88 characters.
fn nonce(claims: &Claims) -> Option<String> {
    let value = claims.get(&["eat_nonce", "10"])?;
    let all = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let fits = |value: &Value| match claims.encoding() {
        Encoding::Json => value.as_str().is_some_and(|text| (8..=88).contains(&text.len())),
        Encoding::Cbor => claims.octets(value).is_some_and(|bytes| (8..=64).contains(&bytes.len())),
    };
    (all.is_empty() || !all.iter().all(fits)).then(|| format!("a nonce of {value}"))
}
