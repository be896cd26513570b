//! The weaknesses that the owner of a secret may accept by name.

use super::error::UnknownAccept;
use std::collections::BTreeSet;

/// A word of `Secret.accepts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// As written with the secret.
    pub word: &'static str,
    /// What its owner accepts, for tables and help texts.
    pub meaning: &'static str,
}

/// Every word there is: those that a forbid of the baseline gives way to.
pub const ACCEPTS: &[Accept] = &[
    Accept { word: "host-trusted", meaning: "root of the node can forge what is said about its pods" },
    Accept { word: "interpreter-environment", meaning: "an environment variable may change what an interpreter runs" },
    Accept { word: "loader-environment", meaning: "an environment variable may change what the dynamic loader loads" },
    Accept { word: "no-pod-log", meaning: "nothing tells what else ran on the node since it booted" },
    Accept { word: "oci-hooks", meaning: "programs of the node run within the container's start" },
    Accept { word: "shared-pid-namespace", meaning: "other containers of the pod can read the application's memory" },
    Accept { word: "test-root", meaning: "the node's evidence ends at a root that vouches for nothing (a software TPM)" },
];

pub(super) fn words() -> String {
    ACCEPTS.iter().map(|a| a.word).collect::<Vec<_>>().join(", ")
}

/// A secret as policy sees it: its name and what its owner accepts. Its value is nowhere near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMetadata {
    name: String,
    accepts: BTreeSet<String>,
}

impl SecretMetadata {
    /// Describes a secret.
    ///
    /// # Errors
    /// A word in `accepts` that is not in [`ACCEPTS`].
    pub fn new(name: impl Into<String>, accepts: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, UnknownAccept> {
        let accepts: BTreeSet<String> = accepts.into_iter().map(Into::into).collect();
        match accepts.iter().find(|word| !ACCEPTS.iter().any(|a| a.word == word.as_str())) {
            Some(word) => Err(UnknownAccept { word: word.clone() }),
            None => Ok(Self { name: name.into(), accepts }),
        }
    }

    /// `team/name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Words of [`ACCEPTS`], sorted.
    #[must_use]
    pub fn accepts(&self) -> &BTreeSet<String> {
        &self.accepts
    }
}
