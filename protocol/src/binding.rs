//! The binding: 32 bytes that tie one challenge, one node and its evidence to the pods that ask. The only file that computes it.

use crate::{Digest, Profile, Purpose, cbor::Encoder};

const DOMAIN: &str = "podseal.binding.v1";
const NODE_KEY_DOMAIN: &str = "podseal.node-key.v1";

/// Length of the data that a TEE's report is over.
pub const REPORT_DATA: usize = 64;

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
    /// What the node is known by to its hardware: the name of its AK (TPM 2.0 Part 1, section 16), `h(SPKI)` of its node key, or the
    /// `module_id` of its attestation documents.
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

/// The data that a TEE's report is over: the binding, and which profile it is for.
#[must_use]
pub fn report_data(binding: &Digest, profile: Profile) -> [u8; REPORT_DATA] {
    let mut data = [0; REPORT_DATA];
    let both = binding.0.into_iter().chain(Digest::of(profile.as_str().as_bytes()).0);
    data.iter_mut().zip(both).for_each(|(to, from)| *to = from);
    data
}

/// What a node key signs of a binding.
#[must_use]
pub fn node_key_message(binding: &Digest) -> Vec<u8> {
    Encoder::message(NODE_KEY_DOMAIN, 2).digest(binding).finish()
}
