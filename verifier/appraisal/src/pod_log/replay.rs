//! Replaying records: what runs, what was done in it, and what the register holds after them.

use std::collections::{BTreeMap, BTreeSet};

use podseal_protocol::{
    BankDigest, Digest, Limits,
    binding::PodLogHead,
    cbor::Malformed,
    pod_log::{Digests, Event, Records, Register, Standing, Started},
};
use thiserror::Error;

use super::state::{Container, MOST, Pod, PodLogState, manifest};

/// Why records lead to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// They go on from a state that is not there.
    #[error("records from number {from}, and nothing kept that ends there")]
    Resend {
        /// Number of the first.
        from: u64,
    },
    /// A record is not in its one encoding, or not the next.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// More runs than on any node.
    #[error("record {number}: more than {MOST} live containers or privileged images")]
    TooMany {
        /// Of the record.
        number: u64,
    },
    /// The first record is none that begins a log, or there is none.
    #[error("no first record that begins the log")]
    NotBegun,
    /// They are another log than the one that led here before.
    #[error("record {number} leads to {found}, and before it led to {wanted}")]
    Elsewhere {
        /// Of the record after which they differ.
        number: u64,
        /// Head of the chain by these records.
        found: Digest,
        /// What it was before.
        wanted: Digest,
    },
    /// The log begins a second time.
    #[error("record {number} begins the log again")]
    BegunAgain {
        /// Of the record.
        number: u64,
    },
}

/// Records of a log, as evidence brings them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The register that the log is kept in.
    pub register: Register,
    /// Number of the first record.
    pub from: u64,
    /// Their bytes.
    pub records: &'a [u8],
}

/// Replays records: from 0 from scratch, else on top of a state that ends exactly at `from` and is of a register of the same bank. Any
/// other state is left aside.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(state: Option<&PodLogState>, piece: Piece<'_>, limits: &Limits) -> Result<PodLogState, ReplayError> {
    replay_through(None, state, piece, limits)
}

/// Replays, and demands that the log leads through where it stood before: an older one does not become another.
///
/// # Errors
/// [`ReplayError`]; `Resend` also where the records begin after that point.
pub(crate) fn replay_through(
    through: Option<PodLogHead>,
    state: Option<&PodLogState>,
    piece: Piece<'_>,
    limits: &Limits,
) -> Result<PodLogState, ReplayError> {
    let Piece { register, from, records } = piece;
    let mut state = match state.filter(|state| state.head().length == from && state.register().bank() == register.bank()) {
        _ if from == 0 => None,
        None => return Err(ReplayError::Resend { from }),
        _ if through.is_some_and(|before| before.length < from) => return Err(ReplayError::Resend { from }),
        kept => kept.cloned(),
    };
    if let Some(state) = &state {
        leads_through(state.head(), through)?;
    }
    for record in Records::new(records, from, register, limits) {
        let (record, digests) = record?;
        let number = record.number;
        state = Some(match (state, record.event) {
            (None, Event::Began { boot_id, register, exceptions }) => {
                let state = begun(boot_id, register, exceptions, &digests);
                leads_through(state.head(), through)?;
                state
            }
            (None, _) => return Err(ReplayError::NotBegun),
            (Some(_), Event::Began { .. }) => return Err(ReplayError::BegunAgain { number }),
            (Some(mut state), event) => {
                state.standing = state.standing.and(&digests);
                leads_through(state.head(), through)?;
                state.take(event);
                if state.is_too_large() {
                    return Err(ReplayError::TooMany { number });
                }
                state
            }
        });
    }
    state.ok_or(ReplayError::NotBegun)
}

fn leads_through(head: PodLogHead, through: Option<PodLogHead>) -> Result<(), ReplayError> {
    match through.filter(|before| before.length == head.length && before.head != head.head) {
        Some(before) => Err(ReplayError::Elsewhere { number: head.length.saturating_sub(1), found: head.head, wanted: before.head }),
        None => Ok(()),
    }
}

fn begun(boot_id: String, prior: BankDigest, exceptions: Vec<String>, digests: &Digests) -> PodLogState {
    PodLogState {
        boot_id,
        prior,
        standing: Standing::begin(prior).and(digests),
        pods: BTreeMap::new(),
        containers: BTreeMap::new(),
        privileged_images: BTreeSet::new(),
        exceptions,
        restarts: 0,
        interruptions: 0,
        found_running: 0,
        unexplained: 0,
    }
}

impl PodLogState {
    fn is_too_large(&self) -> bool {
        self.containers.len().max(self.pods.len()).max(self.privileged_images.len()) > MOST
    }

    fn take(&mut self, event: Event) {
        match event {
            // `replay` has taken it; a second one is an error there.
            Event::Began { .. } => {}
            Event::AttesterRestarted { exceptions } => {
                self.restarts = self.restarts.saturating_add(1);
                self.exceptions = exceptions;
                self.missed_perhaps();
            }
            Event::Interrupted => {
                self.interruptions = self.interruptions.saturating_add(1);
                self.missed_perhaps();
            }
            Event::Started(started) => self.started(started),
            Event::Exec { container_id, .. } => self.exec(&container_id),
            Event::Ended { container_id } => self.ended(&container_id),
        }
    }

    /// An exec in any of what runs.
    fn missed_perhaps(&mut self) {
        self.pods.values_mut().for_each(|pod| pod.heard_all = false);
    }

    fn started(&mut self, started: Started) {
        let named = manifest(&started.image);
        let manifest = named.map(|(_, digest)| digest);
        if started.privileged {
            let name = named.map_or(started.image.as_str(), |(name, _)| name);
            self.privileged_images.insert(name.to_owned());
        }
        if !started.heard {
            self.found_running = self.found_running.saturating_add(1);
        }
        // An id that runs already: what was done in it stays said.
        let again = self.leave(&started.container_id);
        if again.is_some() {
            self.unexplained = self.unexplained.saturating_add(1);
        }
        let Started { container_id, sandbox, pod_uid, image, heard, .. } = started;
        let pod = self.pods.entry(pod_uid.clone()).or_insert(Pod { heard_all: true, ..Pod::default() });
        pod.live.insert(container_id.clone());
        pod.heard_all &= heard;
        pod.sandbox_ended &= !sandbox;
        let execs = again.as_ref().map_or(0, |container| container.execs);
        self.containers.insert(container_id, Container { pod_uid, image, manifest, sandbox, heard, execs });
        if let Some(container) = again {
            self.settle(&container.pod_uid);
        }
    }

    fn exec(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            self.unexplained = self.unexplained.saturating_add(1);
            return;
        };
        container.execs = container.execs.saturating_add(1);
        if let Some(pod) = self.pods.get_mut(&container.pod_uid) {
            pod.execs = pod.execs.saturating_add(1);
        }
    }

    fn ended(&mut self, id: &str) {
        let Some(container) = self.leave(id) else {
            self.unexplained = self.unexplained.saturating_add(1);
            return;
        };
        if let Some(pod) = self.pods.get_mut(&container.pod_uid) {
            pod.sandbox_ended |= container.sandbox;
        }
        self.settle(&container.pod_uid);
    }

    fn settle(&mut self, pod_uid: &str) {
        if self.pods.get(pod_uid).is_some_and(|pod| !pod.stays()) {
            self.pods.remove(pod_uid);
        }
    }

    fn leave(&mut self, id: &str) -> Option<Container> {
        let container = self.containers.remove(id)?;
        if let Some(pod) = self.pods.get_mut(&container.pod_uid) {
            pod.live.remove(id);
        }
        Some(container)
    }
}
