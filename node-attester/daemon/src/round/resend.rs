//! How much of the pod log the verifier has, so that only what is new is sent.

use std::sync::{Mutex, PoisonError};

use podseal_protocol::{evidence::Part, exchange::Outcome};

/// By which a verifier says that it does not have the records before those that were sent.
const RESEND: &str = "pod_log.resend";

/// Bytes that a batch leaves free for records that come while it is quoted.
const SPARE: usize = 64 << 10;

/// What one verifier has replayed of this node's pod log. It forgets: then it says so, and gets everything once more.
#[derive(Debug, Default)]
pub struct Replayed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    length: u64,
    /// Bytes of the records that were sent last.
    sent: usize,
}

impl Replayed {
    /// Number of the first record that the verifier does not have.
    pub(super) fn length(&self) -> u64 {
        self.lock(|state| state.length)
    }

    /// The verifier has so many records, or more.
    pub(super) fn has(&self, length: u64) {
        self.lock(|state| state.length = length);
    }

    /// The verifier has none.
    pub(super) fn forget(&self) {
        self.has(0);
    }

    /// These parts are sent.
    pub(super) fn sent(&self, parts: &[Part]) {
        let bytes = parts.iter().map(|part| if let Part::PodLog { records, .. } = part { records.len() } else { 0 }).sum();
        self.lock(|state| state.sent = bytes);
    }

    /// Bytes that the next batch leaves free for records.
    pub(super) fn room(&self) -> usize {
        self.lock(|state| state.sent.saturating_add(SPARE))
    }

    fn lock<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a refusal says only that the answer came late or that the log was lost: nothing about node or workload.
pub(crate) fn is_late(reason: &str) -> bool {
    [RESEND, "challenge.expired", "node.overtaken"].contains(&reason)
}

/// Whether the verifier wants all of the pod log before it decides.
pub(super) fn asks_for_all(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { reason, .. } if reason == RESEND)
}
