//! Arm's PSA attestation token: RFC 9783, and the two forms before it (`PSA_IOT_PROFILE_1`, `http://arm.com/psa/2.0.0`).
//!
//! JSON has the claims by the names that Arm's and Veraison's tools write.

use super::claims::{Encoding, Set};
use super::names::{
    BOOT_SEED, CLIENT, COMPONENTS, DEBUG_STATUS, IMPLEMENTATION, INDICATOR, INSTANCE, LIFECYCLE, NO_COMPONENTS, Named, PROFILE, PSA_NONCE,
    PSA_PROFILE, REFERENCE,
};
use serde_json::Value;

const FIRST: &str = "PSA_IOT_PROFILE_1";
const LATER: [&str; 2] = ["http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm"];

/// Whether the claims are a PSA token's: by their profile, or by a claim that nothing else has.
fn is_psa(claims: Set<'_>) -> bool {
    let profile = claims.get(&PROFILE).and_then(Value::as_str);
    let named = profile.is_some_and(|profile| LATER.contains(&profile)) || claims.get(&PSA_PROFILE).is_some();
    named || [&CLIENT, &LIFECYCLE, &IMPLEMENTATION, &COMPONENTS].into_iter().any(|name| claims.get(name).is_some())
}

/// What the profile does not allow.
pub(super) fn problem(claims: Set<'_>) -> Option<String> {
    if !is_psa(claims) {
        return None;
    }
    let later = claims.get(&PROFILE);
    let known = later.is_none_or(|profile| profile.as_str().is_some_and(|profile| LATER.contains(&profile)))
        && claims.get(&PSA_PROFILE).is_none_or(|profile| profile == FIRST);
    let length = |name: &Named| claims.get(name).map(|value| claims.octets(value).map_or(0, |bytes| bytes.len()));
    let hash = |length: Option<usize>| matches!(length, Some(32 | 48 | 64));
    let seed = match length(&BOOT_SEED) {
        Some(length) if later.is_some() => (8..=32).contains(&length),
        Some(length) => length == 32,
        None => later.is_some() && claims.get(&PSA_PROFILE).is_none(),
    };
    let instance = claims.get(&INSTANCE).and_then(|value| claims.octets(value));
    let steps = [
        (known, "its profile"),
        (claims.get(&CLIENT).and_then(Value::as_i64).is_some_and(|id| i32::try_from(id).is_ok()), "its client ID"),
        (lifecycle(claims).is_some_and(|state| state <= 0x60ff && state & 0x0f00 == 0), "its security lifecycle"),
        (length(&IMPLEMENTATION) == Some(32), "its implementation ID"),
        (seed, "its boot seed"),
        (claims.get(&REFERENCE).is_none_or(is_reference), "its certification reference"),
        (hash(length(&PSA_NONCE)), "its nonce"),
        (instance.is_some_and(|bytes| bytes.len() == 33 && bytes.first() == Some(&1)), "its instance ID"),
        (claims.get(&INDICATOR).is_none_or(|text| text.as_str().is_some_and(|text| !text.is_empty())), "its service indicator"),
        (components(claims), "its software components"),
    ];
    steps.into_iter().find(|(holds, _)| !holds).map(|(_, what)| format!("PSA token: {what} is missing or not of the form"))
}

fn lifecycle(claims: Set<'_>) -> Option<u64> {
    claims.get(&LIFECYCLE).and_then(Value::as_u64)
}

/// RFC 9783, 4.2.3: an EAN-13 with a version, or the number alone as before.
fn is_reference(value: &Value) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    value.as_str().is_some_and(|text| match text.split_once('-') {
        Some((product, version)) => digits(product, 13) && digits(version, 5),
        None => digits(text, 13),
    })
}

/// RFC 9783, 4.4.1; the first profile has a claim that says there are none.
fn components(claims: Set<'_>) -> bool {
    let (value, signer) = match claims.encoding() {
        Encoding::Json => ("measurement-value", "signer-id"),
        Encoding::Cbor => ("2", "5"),
    };
    let hash = |one: &Value, name: &str| {
        let bytes = one.get(name).and_then(|value| claims.octets(value));
        bytes.is_some_and(|bytes| matches!(bytes.len(), 32 | 48 | 64))
    };
    match (claims.get(&COMPONENTS), claims.get(&NO_COMPONENTS)) {
        (Some(Value::Array(all)), None) => !all.is_empty() && all.iter().all(|one| hash(one, value) && hash(one, signer)),
        (None, Some(none)) => *none == 1,
        _ => false,
    }
}

/// What lets a debugger in, in an EAT (`dbgstat`, RFC 9711, 4.2.9) or a PSA token (any lifecycle but secured).
pub(super) fn is_debuggable(claims: Set<'_>) -> Option<String> {
    let closed = |status: &Value| match claims.encoding() {
        Encoding::Json => {
            let words = ["disabled", "disabled-since-boot", "disabled-permanently", "disabled-fully-and-permanently"];
            status.as_str().is_some_and(|status| words.contains(&status))
        }
        Encoding::Cbor => status.as_u64().is_some_and(|status| (1..=4).contains(&status)),
    };
    if let Some(status) = claims.get(&DEBUG_STATUS).filter(|status| !closed(status)) {
        return Some(format!("{}: dbgstat {status}", claims.name()));
    }
    let state = claims.get(&LIFECYCLE)?;
    match state.as_u64() {
        Some(state) if state & 0xff00 == 0x3000 => None,
        Some(state) => Some(format!("{}: PSA security lifecycle {state:#06x}", claims.name())),
        None => Some(format!("{}: PSA security lifecycle {state}", claims.name())),
    }
}

/// What says that there are no measurements.
pub(super) fn measures_nothing(claims: Set<'_>) -> Option<&'static str> {
    claims.get(&NO_COMPONENTS).map(|_| "no software measurements")
}
