//! The binding: 32 bytes that tie one challenge, one node and its evidence to the pods that ask. The only file that computes it.

use crate::{Digest, Purpose, cbor::Encoder};

const DOMAIN: &str = "podseal.binding.v1";

/// Where the pod log stands when the evidence is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodLogHead {
    /// Number of records.
    pub length: u64,
    /// Digest over them; [`PodLogHead::NONE`] has 32 zero bytes.
    pub head: Digest,
}

impl PodLogHead {
    /// A node that keeps no pod log. It claims nothing: what a pod log would say is not appraised.
    pub const NONE: Self = Self { length: 0, head: Digest([0; 32]) };
}

/// Everything that the hardware signs for, but the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingInputs<'a> {
    /// `h(challenge)`.
    pub challenge: Digest,
    /// What the evidence may be used for.
    pub purpose: Purpose,
    /// Identity of the verifier.
    pub verifier: Digest,
    /// The node.
    pub node: &'a str,
    /// Name of the AK (TPM 2.0 Part 1, section 16), or `h(SPKI)` of a node key.
    pub signer: &'a [u8],
    /// Which evidence profile.
    pub profile: &'a str,
    /// The kernel's boot id.
    pub boot_id: &'a str,
    /// Where the pod log stands.
    pub pod_log: PodLogHead,
}

/// The binding. As TPM qualifying data and Nitro nonce it is used as it stands.
#[must_use]
pub fn binding(inputs: &BindingInputs<'_>, leaves: &[Digest]) -> Digest {
    let bytes = Encoder::message(DOMAIN, 10)
        .digest(&inputs.challenge)
        .text(inputs.purpose.as_str())
        .digest(&inputs.verifier)
        .text(inputs.node)
        .bytes(inputs.signer)
        .text(inputs.profile)
        .text(inputs.boot_id)
        .array(2)
        .uint(inputs.pod_log.length)
        .digest(&inputs.pod_log.head)
        .list(leaves, Encoder::digest)
        .finish();
    Digest::of(&bytes)
}
