//! Issuing challenges: nothing is written down; the MAC alone says later that it was us.

use podseal_protocol::{CHALLENGE_LIFETIME, Challenge, Purpose, ReceivedChallenge};

use crate::{
    keyring::{Keyring, KeyringError},
    random,
};

/// A fresh challenge for one node and one purpose.
///
/// # Errors
/// No randomness.
pub fn issue(keys: &Keyring, purpose: Purpose, node: &str, now: u64) -> Result<Vec<u8>, KeyringError> {
    let (epoch, key) = keys.newest_mac();
    let challenge = Challenge {
        verifier: *keys.verifier(),
        epoch: *epoch,
        purpose,
        node: node.to_owned(),
        issued: now,
        expires: now.saturating_add(CHALLENGE_LIFETIME),
        random: random::bytes().map_err(crate::kek::WrapError::from)?,
    };
    Ok(challenge.issue(key))
}

/// Whether the key of the challenge's epoch made its MAC.
#[must_use]
pub fn is_ours(keys: &Keyring, challenge: &ReceivedChallenge) -> bool {
    keys.mac(challenge.fields().epoch).is_some_and(|key| challenge.issued_under(key))
}
