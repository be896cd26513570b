//! EAT and EAR: tokens in which devices and other verifiers hand their results on, as JWT (RFC 7519) or CWT (RFC 8392).
//!
//! RFC 9711. A token is believed as far as the key that somebody gave for its issuer; no key in the token counts, be it in its header or
//! in its claims. Its times (`iat`, `nbf`, `exp`) are told and not appraised: a token that was good when it was handed on is still what its
//! issuer said then, and whoever wants it fresh sends a nonce. [`Token`] and [`Claims`] only parse.

mod claims;
mod names;
mod own_key;
mod profile;
mod psa;
mod result;
pub mod rules;
#[cfg(test)]
mod tests;
mod token;

pub use claims::{Claims, Encoding};
pub use token::{Key, Token, TokenError};

use crate::check::Checks;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Longest token and longest claims set taken, in bytes.
pub const LONGEST: usize = 64 << 10;

/// Appraises whether `key` signed the token, and whether it answers `nonce` if one is expected.
///
/// Without a key only that is appraised which no key could mend; the signature is not owed then.
pub fn appraise_token(token: &Token, key: Option<&Key>, nonce: Option<&[u8]>, checks: &mut Checks) -> bool {
    checks.also_owing(&[&rules::CRITICAL, &rules::ALGORITHM]);
    let found = if token.is_critical() { "crit" } else { "none" };
    let mut holds = checks.record(&rules::CRITICAL, !token.is_critical(), "no critical extension", found);
    let algorithm = token.algorithm().filter(|algorithm| key.is_none_or(|key| key.is_for(*algorithm)));
    let wanted = if key.is_some() { "a signature algorithm of the given key" } else { "a signature algorithm" };
    holds &= checks.record(&rules::ALGORITHM, algorithm.is_some(), wanted, token.algorithm_name().to_owned());
    if let Some((token, key)) = token.key_id().zip(key.and_then(Key::id)) {
        // RFC 9052 has bytes, of which a JWK may have either form.
        let same = token == key.as_bytes() || URL_SAFE_NO_PAD.encode(token) == key;
        holds &= checks.record(&rules::KEY_ID, same, key.to_owned(), String::from_utf8_lossy(token).into_owned());
    }
    if let Some(key) = key {
        checks.also_owing(&[&rules::SIGNATURE]);
        // By an algorithm that is not the key's nothing can be verified.
        if let Some(algorithm) = algorithm {
            let signed = token.is_signed_by(key, algorithm);
            let found = if signed { "verifies" } else { "does not verify" };
            holds &= checks.record(&rules::SIGNATURE, signed, "a signature by the given key", found);
        }
    }
    if let Some(nonce) = nonce {
        let (answers, found) = answers(token.claims(), nonce);
        holds &= checks.record(&rules::NONCE, answers, crate::hex::encode(nonce), found);
    }
    holds && key.is_some() && algorithm.is_some()
}

/// Appraises whether the shipped default policy would release anything on the claims of a token that `key` signed.
pub fn appraise_policy(claims: &Claims, key: &Key, checks: &mut Checks) -> bool {
    let own = own_key::names(claims, &key.public);
    let found = if own { "it stands in the claims" } else { "it does not stand in the claims" };
    let own = checks.record(&rules::OWN_KEY, !own, "a key that is known from elsewhere", found);
    let profile = appraise_profile(claims, checks);
    let result = result::appraise(claims, checks);
    let sets = claims.sets();
    let debug = sets.iter().find_map(|set| psa::is_debuggable(*set));
    let open = checks.record(&rules::DEBUG, debug.is_none(), "debugging is disabled", debug.unwrap_or_else(|| "nothing else".to_owned()));
    let nothing = if sets.iter().all(|set| set.says_nothing()) {
        Some("no claim about a device")
    } else {
        sets.iter().find_map(|set| psa::measures_nothing(*set))
    };
    let measured = checks.record(&rules::MEASURED, nothing.is_none(), "claims and measurements", nothing.unwrap_or("some"));
    own && profile && result && open && measured
}

/// Appraises the claims against the profile that they name. That can be done for claims that nobody signed: no signature would mend them.
pub fn appraise_profile(claims: &Claims, checks: &mut Checks) -> bool {
    let problem = profile::problem(claims);
    checks.record(&rules::PROFILE, problem.is_none(), "what the profile demands", problem.unwrap_or_else(|| "that".to_owned()))
}

/// RFC 9711, 4.1: the nonce, or one of several; JSON has it as text, in which bytes are base64url or stand for themselves.
fn answers(claims: &Claims, nonce: &[u8]) -> (bool, String) {
    let claims = claims.top();
    let Some(value) = claims.get(&names::ANY_NONCE) else {
        return (false, "no nonce".to_owned());
    };
    let all = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let is = |value: &Value| match (claims.encoding(), value.as_str()) {
        (Encoding::Cbor, _) => claims.octets(value).is_some_and(|bytes| bytes == nonce),
        (Encoding::Json, Some(text)) => {
            text.as_bytes() == nonce || [URL_SAFE_NO_PAD.decode(text), STANDARD.decode(text)].contains(&Ok(nonce.to_vec()))
        }
        (Encoding::Json, None) => false,
    };
    (all.iter().any(is), value.to_string())
}
