//! The steps.

use crate::check::Rule;

const ISSUER: &str =
    "Take the token as its issuer handed it out, and the key from the issuer itself; a token that fails with it is not the issuer's.";

/// No extension that a reader must understand.
pub static CRITICAL: Rule = Rule { name: "eat.critical", spec: "RFC 7515, 4.1.11; RFC 9052, 3.1", remedy: ISSUER };
/// A signature algorithm, and one of the key's.
pub static ALGORITHM: Rule = Rule { name: "eat.algorithm", spec: "RFC 8725, 3.1 and 3.2; RFC 7517, 4.2 to 4.4", remedy: ISSUER };
/// The token and the given key name the same key, where both name one.
pub static KEY_ID: Rule = Rule { name: "eat.key_id", spec: "RFC 7515, 4.1.4; RFC 7517, 4.5; RFC 9052, 3.1", remedy: ISSUER };
/// The given key signed header and claims as they came.
pub static SIGNATURE: Rule = Rule { name: "eat.signature", spec: "RFC 7515, 5.2; RFC 9052, 4.4", remedy: ISSUER };
/// The token answers what was asked.
pub static NONCE: Rule = Rule {
    name: "eat.nonce",
    spec: "RFC 9711, 4.1",
    remedy: "Ask for a token over the nonce of this challenge; a recorded token is never accepted again.",
};
/// The claims do not name the key that the token is verified by.
pub static OWN_KEY: Rule = Rule {
    name: "eat.key_of_its_own",
    spec: "RFC 7800, 3.2; RFC 9334, 7.1",
    remedy: "Take the issuer's key from the issuer: a key that is known by what it signed vouches for nothing but itself.",
};
/// What the token's profile demands is there, and nothing that it forbids.
pub static PROFILE: Rule = Rule {
    name: "eat.profile",
    spec: "RFC 9711, 4.1 and 6; RFC 9783, 4; draft-ietf-rats-ear, 3",
    remedy: "Have the issuer say why it hands out what the profile in its token does not allow.",
};
/// Each appraisal that the token reports ended well.
pub static RESULT: Rule = Rule {
    name: "eat.result",
    spec: "draft-ietf-rats-ear, 3.1; draft-ietf-rats-ar4si, 2.3",
    remedy: "Look at the trustworthiness vector: it names what the issuer's appraisal found wrong.",
};
/// What is attested keeps debuggers out.
pub static DEBUG: Rule = Rule {
    name: "eat.debug",
    spec: "RFC 9711, 4.2.9; RFC 9783, 4.3.1",
    remedy: "Close debugging on the device, and have it attested again.",
};
/// The token says something about what runs.
pub static MEASURED: Rule = Rule {
    name: "eat.measured",
    spec: "RFC 9711, 3; RFC 9783, 4.4.1",
    remedy: "Have software measured on the device: a token without claims, or without measurements, says nothing about what runs.",
};

/// Whether the token is the given key's; [`KEY_ID`] where both have one, [`NONCE`] where one is expected.
pub static RULES: [&Rule; 5] = [&CRITICAL, &ALGORITHM, &KEY_ID, &SIGNATURE, &NONCE];
/// Whether the shipped default policy would release anything on it; of claims that nobody signed, [`PROFILE`] alone.
pub static POLICY_RULES: [&Rule; 5] = [&OWN_KEY, &PROFILE, &RESULT, &DEBUG, &MEASURED];
