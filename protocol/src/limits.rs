//! Upper bounds on what comes from outside. They are arguments of every parser: no length that somebody sent decides an allocation.

/// Bounds for parsing received bytes. [`Limits::DEFAULT`] is what the daemons use; tests narrow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One message on the wire, in bytes.
    pub message: usize,
    /// Leaves in one exchange.
    pub leaves: usize,
    /// One attachment (OCI spec, pod set, token), in bytes.
    pub attachment: usize,
    /// Attachments in one exchange.
    pub attachments: usize,
    /// One part of the evidence (quote, event log, …), in bytes.
    pub evidence_part: usize,
    /// The records of the pod log that one piece of evidence brings, in bytes.
    pub pod_log: usize,
    /// Parts of the evidence in one exchange.
    pub evidence_parts: usize,
    /// Events in one boot log.
    pub events: usize,
    /// One name or other short text, in bytes.
    pub text: usize,
    /// Secrets that one leaf may ask for.
    pub secrets: usize,
    /// One secret value, in bytes.
    pub secret: usize,
    /// One frame between launcher and attester, in bytes.
    pub frame: usize,
}

impl Limits {
    /// What the daemons use.
    pub const DEFAULT: Self = Self {
        message: 16 << 20,
        leaves: 256,
        attachment: 1 << 20,
        attachments: 3 * 256,
        evidence_part: 4 << 20,
        pod_log: 12 << 20,
        evidence_parts: 16,
        events: 65_536,
        text: 512,
        secrets: 64,
        secret: 64 << 10,
        frame: 8 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
