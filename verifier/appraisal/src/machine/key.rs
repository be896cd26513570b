//! What a node is known by.

use podseal_protocol::{Digest, Profile, key::PublicKey};

use super::rules::KEY;
use crate::{
    check::Checks,
    tpm::ak::{self, AkPublic, appraise_ak},
};

/// Longest `module_id` that is taken; those of instances have some fifty bytes.
const MODULE_ID: usize = 128;

/// The key that a node is known by, ready to verify with.
#[derive(Debug, Clone)]
pub enum NodeKey {
    /// An attestation key in a TPM.
    Ak(AkPublic),
    /// A key that was born in the guest.
    Own {
        /// It signs each binding.
        key: PublicKey,
        /// `h(SPKI)`.
        digest: Digest,
    },
    /// The hypervisor's name of the instance: its documents need no other key.
    Module(String),
}

impl NodeKey {
    /// Reads the key of a registration or of a request to join, and holds it to every rule of its profile.
    pub fn appraise(profile: Profile, key: &[u8], checks: &mut Checks) -> Option<Self> {
        if matches!(profile, Profile::Tpm | Profile::AzureSnp) {
            checks.also_owing(&ak::RULES);
            return appraise_ak(key, checks).map(Self::Ak);
        }
        let (read, wanted) = match profile {
            Profile::NitroTpm => (module(key), "the module_id of an instance"),
            _ => (own(key), "a P-256 key (SubjectPublicKeyInfo)"),
        };
        let found = if read.is_some() { wanted.to_owned() } else { format!("{} bytes that are none", key.len()) };
        checks.record(&KEY, read.is_some(), wanted, found);
        read
    }

    /// What the binding has of it.
    #[must_use]
    pub fn signer(&self) -> &[u8] {
        match self {
            Self::Ak(ak) => ak.name().as_ref(),
            Self::Own { digest, .. } => digest.as_ref(),
            Self::Module(id) => id.as_bytes(),
        }
    }

    /// The machine that it names by itself.
    #[must_use]
    pub fn machine(&self) -> Option<Digest> {
        match self {
            Self::Ak(_) => None,
            Self::Own { digest, .. } => Some(*digest),
            Self::Module(id) => Some(Digest::of(id.as_bytes())),
        }
    }

    /// The AK, where it is one.
    pub(crate) fn into_ak(self) -> Option<AkPublic> {
        if let Self::Ak(ak) = self { Some(ak) } else { None }
    }

    pub(super) fn ak(&self) -> Option<&AkPublic> {
        if let Self::Ak(ak) = self { Some(ak) } else { None }
    }
}

fn own(spki: &[u8]) -> Option<NodeKey> {
    PublicKey::from_spki(spki).map(|key| NodeKey::Own { key, digest: Digest::of(spki) })
}

fn module(id: &[u8]) -> Option<NodeKey> {
    let text = std::str::from_utf8(id).ok()?;
    let plain = (1..=MODULE_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| NodeKey::Module(text.to_owned()))
}
