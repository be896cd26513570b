//! Arm's PSA attestation token: RFC 9783, and the two forms before it (`PSA_IOT_PROFILE_1`, `http://arm.com/psa/2.0.0`).
//!
//! JSON has the claims by the names that Arm's and Veraison's tools write.

use super::claims::{Claims, member};
use serde_json::Value;

const FIRST: &str = "PSA_IOT_PROFILE_1";
const LATER: [&str; 2] = ["http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm"];

const EAT_PROFILE: [&str; 3] = ["eat_profile", "eat-profile", "265"];
const PSA_PROFILE: [&str; 2] = ["psa-profile", "-75000"];
const CLIENT: [&str; 3] = ["psa-client-id", "2394", "-75001"];
const LIFECYCLE: [&str; 3] = ["psa-security-lifecycle", "2395", "-75002"];
const IMPLEMENTATION: [&str; 3] = ["psa-implementation-id", "2396", "-75003"];
const BOOT_SEED: [&str; 3] = ["psa-boot-seed", "2397", "-75004"];
const REFERENCE: [&str; 4] = ["psa-certification-reference", "2398", "psa-hwver", "-75005"];
const COMPONENTS: [&str; 3] = ["psa-software-components", "2399", "-75006"];
const NO_COMPONENTS: [&str; 2] = ["psa-no-software-measurements", "-75007"];
const NONCE: [&str; 4] = ["psa-nonce", "eat_nonce", "10", "-75008"];
const INSTANCE: [&str; 4] = ["psa-instance-id", "ueid", "256", "-75009"];
const INDICATOR: [&str; 3] = ["psa-verification-service-indicator", "2400", "-75010"];

/// Whether the claims are a PSA token's: by their profile, or by a claim that nothing else has.
fn is_psa(claims: &Claims) -> bool {
    let profile = claims.get(&EAT_PROFILE).and_then(Value::as_str);
    let named = profile.is_some_and(|profile| LATER.contains(&profile)) || claims.get(&PSA_PROFILE).is_some();
    named || [&CLIENT[..], &LIFECYCLE, &IMPLEMENTATION, &COMPONENTS].iter().any(|names| claims.get(names).is_some())
}

/// What the profile does not allow.
pub(super) fn problem(claims: &Claims) -> Option<String> {
    if !is_psa(claims) {
        return None;
    }
    let later = claims.get(&EAT_PROFILE);
    let known = later.is_none_or(|profile| profile.as_str().is_some_and(|profile| LATER.contains(&profile)))
        && claims.get(&PSA_PROFILE).is_none_or(|profile| profile == FIRST);
    let length = |names: &[&str]| claims.get(names).map(|value| claims.octets(value).map_or(0, |bytes| bytes.len()));
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
        (hash(length(&NONCE)), "its nonce"),
        (instance.is_some_and(|bytes| bytes.len() == 33 && bytes.first() == Some(&1)), "its instance ID"),
        (claims.get(&INDICATOR).is_none_or(|text| text.as_str().is_some_and(|text| !text.is_empty())), "its service indicator"),
        (components(claims), "its software components"),
    ];
    steps.into_iter().find(|(holds, _)| !holds).map(|(_, what)| format!("PSA token: {what} is missing or not of the form"))
}

fn lifecycle(claims: &Claims) -> Option<u64> {
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
fn components(claims: &Claims) -> bool {
    let hash = |one: &Value, names: &[&str]| {
        let bytes = member(one, names).and_then(|value| claims.octets(value));
        bytes.is_some_and(|bytes| matches!(bytes.len(), 32 | 48 | 64))
    };
    match (claims.get(&COMPONENTS), claims.get(&NO_COMPONENTS)) {
        (Some(Value::Array(all)), None) => {
            !all.is_empty() && all.iter().all(|one| hash(one, &["measurement-value", "2"]) && hash(one, &["signer-id", "5"]))
        }
        (None, Some(none)) => *none == 1,
        _ => false,
    }
}

/// What lets a debugger in, in an EAT (`dbgstat`) or a PSA token (any lifecycle but secured).
pub(super) fn is_debuggable(claims: &Claims) -> Option<String> {
    let status = claims.get(&["dbgstat", "263"]).filter(|status| **status == "enabled" || **status == 0);
    if let Some(status) = status {
        return Some(format!("dbgstat {status}"));
    }
    let open = |state: &u64| is_psa(claims) && state & 0xff00 != 0x3000;
    lifecycle(claims).filter(open).map(|state| format!("PSA security lifecycle {state:#06x}"))
}

/// What says that there are no measurements.
pub(super) fn measures_nothing(claims: &Claims) -> Option<&'static str> {
    claims.get(&NO_COMPONENTS).map(|_| "no software measurements")
}
