//! How much of the pod log the verifier has, so that only what is new is sent.

use std::sync::{Mutex, PoisonError};

use podseal_protocol::{evidence::Part, exchange::Outcome};

/// By which a verifier says that it does not have the records before those that were sent.
const RESEND: &str = "pod_log.resend";

/// By which a verifier says that it does not know what proved this boot.
const PROVE: &str = "azure.boot_proved";

/// Bytes that a batch leaves free for records that come while it is quoted.
const SPARE: usize = 64 << 10;

/// What one verifier has replayed of this node's pod log, or will have when it has taken what is on its way. It forgets: then it says so, and gets
/// everything once more.
#[derive(Debug, Default)]
pub struct Replayed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    length: u64,
    /// Counts how often it was forgotten.
    epoch: u64,
    /// Bytes of the records that were sent last.
    sent: usize,
}

/// Since where on records are sent, and when that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Since {
    /// Number of the first record that the verifier does not have.
    pub(super) number: u64,
    epoch: u64,
}

impl Replayed {
    /// Since where on records are to be sent.
    pub(super) fn since(&self) -> Since {
        self.lock(|state| Since { number: state.length, epoch: state.epoch })
    }

    /// These parts are sent next: the verifier will have so many records.
    pub(super) fn sending(&self, from: Since, parts: &[Part], length: u64) {
        let bytes = parts.iter().map(|part| if let Part::PodLog { records, .. } = part { records.len() } else { 0 }).sum();
        self.lock(|state| {
            state.sent = bytes;
            if state.epoch == from.epoch {
                state.length = length;
            }
        });
    }

    /// The verifier has none, or nobody knows what it has.
    pub(super) fn forget(&self) {
        self.lock(|state| {
            state.length = 0;
            state.epoch = state.epoch.wrapping_add(1);
        });
    }

    /// Whether what begins there still fits. What was quoted before the verifier forgot does not, and newer evidence has overtaken it.
    pub(super) fn is_current(&self, from: Since) -> bool {
        self.lock(|state| state.epoch == from.epoch)
    }

    /// Bytes that the next batch leaves free for records.
    pub(super) fn room(&self) -> usize {
        self.lock(|state| state.sent.saturating_add(SPARE))
    }

    fn lock<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a refusal says only that the answer came late, or that the log or what proved this boot was lost: nothing about node or workload.
pub(crate) fn is_late(reason: &str) -> bool {
    [RESEND, PROVE, "challenge.expired", "node.overtaken"].contains(&reason)
}

/// Whether the verifier says no more than [`is_late`].
pub(super) fn came_late(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { reason, .. } if is_late(reason))
}

/// Whether the verifier wants this boot proved anew.
pub(super) fn asks_for_proof(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { reason, .. } if reason == PROVE)
}

/// Whether the verifier wants all of the pod log before it decides.
pub(super) fn asks_for_all(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { reason, .. } if reason == RESEND)
}

#[cfg(test)]
mod tests {
    use super::{Part, Replayed};

    fn records(bytes: usize) -> Vec<Part> {
        vec![Part::PodLog { from: 0, records: vec![0; bytes] }]
    }

    #[test]
    fn what_was_quoted_before_the_verifier_forgot_is_quoted_anew() {
        let replayed = Replayed::default();
        let first = replayed.since();
        replayed.sending(first, &records(10), 3);
        let second = replayed.since();
        assert_eq!((first.number, second.number), (0, 3), "the next one goes on, before the first is answered");
        assert!(replayed.is_current(second));
        replayed.forget();
        assert!(!replayed.is_current(second));
        // What it sends late changes nothing.
        replayed.sending(second, &records(10), 7);
        assert_eq!(replayed.since().number, 0);
        assert!(replayed.is_current(replayed.since()));
    }
}
