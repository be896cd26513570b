//! Whether the challenge of a request is one that this verifier issued for it, and still lives.

use podseal_protocol::{Digest, Purpose, ReceivedChallenge};

use crate::{check::Checks, rules};

/// What a challenge must say. None of it comes from the challenge.
pub(crate) struct ChallengeExpectations<'a> {
    /// Our own identity.
    pub(crate) verifier: Digest,
    /// What the request is about.
    pub(crate) purpose: Purpose,
    /// The node that the request is about.
    pub(crate) node: &'a str,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Whether the key of the challenge's epoch made its MAC.
    pub(crate) issued: bool,
}

/// Records the steps that every request owes for its challenge.
pub(crate) fn appraise_challenge(challenge: &ReceivedChallenge, expected: &ChallengeExpectations<'_>, checks: &mut Checks) {
    let found = challenge.fields();
    let issued = if expected.issued { "one" } else { "another, or altered" };
    checks.record(&rules::CHALLENGE_ISSUED, expected.issued, "a challenge MACed by this verifier", issued);
    let ours = found.verifier == expected.verifier;
    checks.record(&rules::CHALLENGE_VERIFIER, ours, expected.verifier.to_string(), found.verifier.to_string());
    let same = found.purpose == expected.purpose;
    checks.record(&rules::CHALLENGE_PURPOSE, same, expected.purpose.as_str(), found.purpose.as_str());
    let lives = (found.issued..found.expires).contains(&expected.now);
    let span = format!("a time from {} up to {}", found.issued, found.expires);
    checks.record(&rules::CHALLENGE_EXPIRED, lives, span, expected.now.to_string());
    checks.record(&rules::CHALLENGE_NODE, found.node == expected.node, found.node.clone(), expected.node.to_owned());
}
