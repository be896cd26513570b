//! What the profile of a claims set does not allow.

use super::claims::{Claims, Encoding, Set};
use super::names::{NONCE, SUBMODULES};
use super::{psa, result};
use serde_json::Value;

/// What is against the profile that the claims name, or against RFC 9711 itself.
pub(super) fn problem(claims: &Claims) -> Option<String> {
    let sets = claims.sets();
    nonce(claims.top())
        .or_else(|| sets.iter().find_map(|set| submodules(*set)))
        .or_else(|| psa::problem(claims.top()))
        .or_else(|| result::problem(claims.top(), &sets))
}

/// RFC 9711, 4.1: 8 to 64 bytes, in JSON 8 to 88 characters.
fn nonce(claims: Set<'_>) -> Option<String> {
    let value = claims.get(&NONCE)?;
    let all = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let fits = |value: &Value| match claims.encoding() {
        Encoding::Json => value.as_str().is_some_and(|text| (8..=88).contains(&text.len())),
        Encoding::Cbor => claims.octets(value).is_some_and(|bytes| (8..=64).contains(&bytes.len())),
    };
    (all.is_empty() || !all.iter().all(fits)).then(|| format!("a nonce of {value}"))
}

/// RFC 9711, 4.2.18: a map of claims sets, tokens and digests; claims in any other place would be overlooked.
fn submodules(claims: Set<'_>) -> Option<String> {
    let value = claims.get(&SUBMODULES)?;
    let fits = |one: &Value| match one {
        Value::Object(_) | Value::String(_) => true,
        Value::Array(all) => !all.iter().any(Value::is_object),
        _ => false,
    };
    let fit = value.as_object().is_some_and(|all| all.values().all(fits));
    (!fit).then(|| format!("{}: submods that are no claims sets, tokens or digests", claims.name()))
}
