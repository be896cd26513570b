//! One set of reference values against what was measured: how far it agrees, and where it first does not.

use podseal_protocol::BankDigest;

use super::{Covered, Event, Measured, Reference};
use crate::{eventlog::ReplayedEvent, hex::encode as hex, layout::Layout};

/// How a group of registers compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The set does not cover it as a whole.
    NotCovered,
    /// The set covers this register, and no evidence does.
    Unproved(u8),
    /// Equal, each register.
    Matches,
    /// The first difference.
    Differs(Difference),
}

/// Where set and log part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) expected: String,
    pub(super) found: String,
}

/// A set and how it compares.
#[derive(Debug)]
pub(super) struct Comparison<'r> {
    pub(super) reference: &'r Reference,
    pub(super) launch: Outcome,
    pub(super) firmware: Outcome,
    pub(super) kernel: Outcome,
    /// Registers and events that agree: the more, the nearer is the set.
    agreeing: usize,
}

impl<'r> Comparison<'r> {
    pub(super) fn of(reference: &'r Reference, measured: &Measured<'_>) -> Self {
        let mut agreeing = 0;
        let layout = reference.layout;
        let launch = reference.launch.as_ref().zip(measured.launch).map_or(Outcome::NotCovered, |(launch, found)| launch.outcome(&found));
        let firmware = group(reference, measured, layout.firmware(), &[], &mut agreeing);
        let kernel = group(reference, measured, layout.kernel(), layout.beside_kernel(), &mut agreeing);
        Self { reference, launch, firmware, kernel, agreeing }
    }

    /// The nearest set sorts last: one in force without a difference, then the one that covers most, then the one that agrees longest.
    pub(super) fn nearness(&self, now: u64) -> (bool, usize, usize) {
        let outcomes = [&self.launch, &self.firmware, &self.kernel];
        let clean = outcomes.iter().all(|o| matches!(o, Outcome::Matches | Outcome::NotCovered)) && now < self.reference.expires;
        (clean, outcomes.iter().filter(|o| ***o == Outcome::Matches).count(), self.agreeing)
    }
}

fn group(reference: &Reference, measured: &Measured<'_>, needed: &[u8], optional: &[u8], agreeing: &mut usize) -> Outcome {
    if measured.quoted.is_none() || needed.iter().any(|pcr| !reference.covered.contains_key(pcr)) {
        return Outcome::NotCovered;
    }
    let mut first: Option<Outcome> = None;
    for pcr in needed.iter().chain(optional) {
        let outcome = match reference.covered.get(pcr) {
            Some(Covered::Total(total)) => compare_total(*pcr, total, reference.layout, measured, agreeing),
            Some(Covered::Events(events)) => compare_events(*pcr, events, reference.layout, measured, agreeing),
            None => continue,
        };
        if outcome != Outcome::Matches && first.is_none() {
            first = Some(outcome);
        }
    }
    first.unwrap_or(Outcome::Matches)
}

fn compare_total(pcr: u8, total: &BankDigest, layout: Layout, measured: &Measured<'_>, agreeing: &mut usize) -> Outcome {
    match measured.quoted.and_then(|quoted| quoted.get(pcr)) {
        None => Outcome::Unproved(pcr),
        Some(value) if value == total.as_ref() => {
            *agreeing += 1;
            Outcome::Matches
        }
        Some(value) => {
            let register = layout.register(pcr);
            Outcome::Differs(Difference { expected: format!("{register} = {total}"), found: format!("{register} = {}", hex(value)) })
        }
    }
}

/// Sequence against sequence: a digest of another event, one too many and one too few are each a difference.
fn compare_events(pcr: u8, events: &[Event], layout: Layout, measured: &Measured<'_>, agreeing: &mut usize) -> Outcome {
    if !measured.proved.contains(pcr) {
        return Outcome::Unproved(pcr);
    }
    let mut expected = events.iter();
    let mut found = measured.events.iter().filter(|event| event.pcr == pcr);
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Outcome::Matches,
            (Some(wanted), Some(event)) if wanted.digest == event.digest => *agreeing += 1,
            (wanted, event) => return Outcome::Differs(difference(pcr, wanted, event.copied(), layout, measured)),
        }
    }
}

fn difference(pcr: u8, wanted: Option<&Event>, event: Option<&ReplayedEvent>, layout: Layout, measured: &Measured<'_>) -> Difference {
    let register = layout.register(pcr);
    Difference {
        expected: match wanted {
            Some(wanted) => format!("in {register} {} with digest {}", wanted.description, wanted.digest),
            None => format!("no further event in {register}"),
        },
        found: match event {
            Some(event) => format!(
                "event {} of the log, {register}, {} with digest {}",
                event.position,
                (measured.describe)(event).unwrap_or_else(|| event.kind.to_string()),
                event.digest
            ),
            None => format!("no further event in {register}"),
        },
    }
}
