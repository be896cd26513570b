//! What claims are called.
//!
//! A registered claim has a name in JSON and a number in CBOR (RFC 9711, 4; RFC 8392, 3). Who writes the one where the other belongs leaves
//! to each reader which of two claims counts, so such a set is not taken.

use super::claims::Encoding;
use serde_json::{Map, Value};

/// A registered claim, with the numbers in decimal.
#[derive(Debug)]
pub(super) struct Named {
    words: &'static [&'static str],
    numbers: &'static [&'static str],
}

impl Named {
    const fn new(words: &'static [&'static str], numbers: &'static [&'static str]) -> Self {
        Self { words, numbers }
    }

    /// By which names it goes, those first that count most.
    pub(super) fn of(&self, encoding: Encoding) -> &'static [&'static str] {
        match encoding {
            Encoding::Json => self.words,
            Encoding::Cbor => self.numbers,
        }
    }

    fn of_other(&self, encoding: Encoding) -> &'static [&'static str] {
        match encoding {
            Encoding::Json => self.numbers,
            Encoding::Cbor => self.words,
        }
    }
}

pub(super) const ISSUED: Named = Named::new(&["iat"], &["6"]);
pub(super) const CONFIRMATION: Named = Named::new(&["cnf"], &["8"]);
pub(super) const NONCE: Named = Named::new(&["eat_nonce"], &["10"]);
pub(super) const ANY_NONCE: Named = Named::new(&["eat_nonce", "psa-nonce", "nonce"], &["10", "-75008"]);
pub(super) const DEBUG_STATUS: Named = Named::new(&["dbgstat"], &["263"]);
pub(super) const PROFILE: Named = Named::new(&["eat_profile", "eat-profile"], &["265"]);
pub(super) const SUBMODULES: Named = Named::new(&["submods"], &["266"]);
pub(super) const STATUS: Named = Named::new(&["ear.status"], &["1000"]);
pub(super) const VECTOR: Named = Named::new(&["ear.trustworthiness-vector"], &["1001"]);
pub(super) const VERIFIER: Named = Named::new(&["ear.verifier-id"], &["1004"]);

pub(super) const PSA_PROFILE: Named = Named::new(&["psa-profile"], &["-75000"]);
pub(super) const CLIENT: Named = Named::new(&["psa-client-id"], &["2394", "-75001"]);
pub(super) const LIFECYCLE: Named = Named::new(&["psa-security-lifecycle"], &["2395", "-75002"]);
pub(super) const IMPLEMENTATION: Named = Named::new(&["psa-implementation-id"], &["2396", "-75003"]);
pub(super) const BOOT_SEED: Named = Named::new(&["psa-boot-seed"], &["2397", "-75004"]);
pub(super) const REFERENCE: Named = Named::new(&["psa-certification-reference", "psa-hwver"], &["2398", "-75005"]);
pub(super) const COMPONENTS: Named = Named::new(&["psa-software-components"], &["2399", "-75006"]);
pub(super) const NO_COMPONENTS: Named = Named::new(&["psa-no-software-measurements"], &["-75007"]);
pub(super) const PSA_NONCE: Named = Named::new(&["psa-nonce", "eat_nonce"], &["10", "-75008"]);
pub(super) const INSTANCE: Named = Named::new(&["psa-instance-id", "ueid"], &["256", "-75009"]);
pub(super) const INDICATOR: Named = Named::new(&["psa-verification-service-indicator"], &["2400", "-75010"]);

/// What says who speaks to whom, and when.
const ABOUT_THE_TOKEN: [&Named; 6] = [
    &Named::new(&["iss", "sub", "aud", "exp", "nbf", "jti"], &["1", "2", "3", "4", "5", "7"]),
    &ISSUED,
    &CONFIRMATION,
    &ANY_NONCE,
    &PROFILE,
    &PSA_PROFILE,
];

/// RFC 9711, 4.2, as far as nothing here reads it.
const ABOUT_A_DEVICE: Named = Named::new(
    &[
        "sueids",
        "oemid",
        "hwmodel",
        "hwversion",
        "uptime",
        "oemboot",
        "location",
        "bootcount",
        "bootseed",
        "dloas",
        "swname",
        "swversion",
        "manifests",
        "measurements",
        "measres",
        "intuse",
    ],
    &["257", "258", "259", "260", "261", "262", "264", "267", "268", "269", "270", "271", "272", "273", "274", "275"],
);

const READ: [&Named; 14] = [
    &DEBUG_STATUS,
    &SUBMODULES,
    &STATUS,
    &VECTOR,
    &VERIFIER,
    &CLIENT,
    &LIFECYCLE,
    &IMPLEMENTATION,
    &BOOT_SEED,
    &REFERENCE,
    &COMPONENTS,
    &NO_COMPONENTS,
    &INSTANCE,
    &INDICATOR,
];

/// The first of the names in a claims set that belongs to a registered claim in the other encoding.
pub(super) fn of_other_encoding(encoding: Encoding, members: &Map<String, Value>) -> Option<&str> {
    let registered = || ABOUT_THE_TOKEN.into_iter().chain(READ).chain([&ABOUT_A_DEVICE]);
    let foreign = |name: &str| name != "nonce" && registered().any(|claim| claim.of_other(encoding).contains(&name));
    members.keys().map(String::as_str).find(|name| foreign(name))
}

/// The second name of a claim whose first would hide it.
pub(super) fn of_both_forms(encoding: Encoding, members: &Map<String, Value>) -> Option<&'static str> {
    [&PROFILE, &LIFECYCLE, &COMPONENTS].into_iter().find_map(|claim| {
        let mut present = claim.of(encoding).iter().filter(|name| members.contains_key(**name));
        present.nth(1).copied()
    })
}

/// Whether a claim says anything of a device or of an appraisal.
///
/// A claim that nobody registered does when it goes by a number, which two parties agreed upon, or when its name says whose it is
/// (RFC 7519, 4.2); a word of somebody's own says nothing to anybody else (4.3).
pub(super) fn says_something(encoding: Encoding, name: &str) -> bool {
    let is = |claim: &&Named| claim.of(encoding).contains(&name);
    if ABOUT_THE_TOKEN.iter().chain(&[&SUBMODULES, &VERIFIER]).any(is) {
        return false;
    }
    READ.iter().chain(&[&ABOUT_A_DEVICE]).any(is)
        || (encoding == Encoding::Cbor && is_number(name))
        || name.contains(['-', '_', '.', ':', '/'])
}

/// Whether a text looks like an integer, as which its claim would be told.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
