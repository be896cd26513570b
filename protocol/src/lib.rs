//! What launcher, node attester and verifier agree on. Nothing here waits: time, randomness and limits are arguments.
//!
//! Every message is a fixed-order CBOR array that opens with its own domain string; docs/PROTOCOL.md has the CDDL and examples.

mod bank;
pub mod binding;
pub mod cbor;
mod challenge;
pub mod delivery;
mod digest;
pub mod evidence;
pub mod exchange;
pub mod frame;
pub mod hex;
pub mod join;
pub mod key;
pub mod leaf;
mod limits;
pub mod pod_log;
mod pod_set;
mod profile;
mod require;
pub mod seal;

pub use bank::{Bank, BankDigest};
pub use challenge::{CHALLENGE_LIFETIME, Challenge, MacKey, Purpose, ReceivedChallenge};
pub use digest::Digest;
pub use leaf::{Leaf, SecretRequest};
pub use limits::Limits;
pub use pod_set::{HostNamespaces, PodContainer, PodSet};
pub use profile::Profile;
pub use require::require;
