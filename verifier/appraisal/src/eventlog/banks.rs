//! Whether the banks of a log tell of the same measurements.

use super::{Event, EventLog, covered_bytes};
use crate::check::{Checks, Rule};
use crate::tpm::HashAlgorithm;

/// No event has in one bank the hash of its data, and in another the hash of something else.
pub static LOG_BANKS_AGREE: Rule = Rule {
    name: "log.banks_agree",
    spec: "TCG PC Client PFP 1.06, 10.2.2; TCG TPM 2.0 Part 3, 22.3",
    remedy: "Send the log as the kernel has it: in this one the digests of one bank were changed, or the firmware measures something else into it.",
};

/// Holds the digests of `bank` against those of `others`, as far as either is the hash of the event's data, and records
/// [`LOG_BANKS_AGREE`] where there are others. All digests of an event are of one measurement.
pub fn appraise_banks(log: &EventLog<'_>, bank: HashAlgorithm, others: &[HashAlgorithm], checks: &mut Checks) -> bool {
    if others.is_empty() {
        return true;
    }
    let tells = |event: &Event<'_>, bank| log.digest(event, bank).is_some_and(|digest| covered_bytes(event, bank, digest).is_some());
    let contradicts = |event: &Event<'_>| {
        let told = tells(event, bank);
        let other = others.iter().copied().find(|other| tells(event, *other) != told)?;
        Some((event.position, if told { (bank, other) } else { (other, bank) }))
    };
    let first = log.events().iter().filter(|event| event.is_extended()).find_map(contradicts);
    let found = match first {
        Some((position, (is, is_not))) => {
            format!("event {position}, whose {} digest is the hash of its data, and the {} digest is not", is.name(), is_not.name())
        }
        None => "no event of which they do not".to_owned(),
    };
    let names = others.iter().map(|other| other.name()).collect::<Vec<_>>().join(", ");
    checks.record(&LOG_BANKS_AGREE, first.is_none(), format!("digests of {} and {names} of the same measurements", bank.name()), found)
}
