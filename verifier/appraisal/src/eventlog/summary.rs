//! What a log says of itself, for a report. Nothing here is proved by anything.

use super::replay::startup_locality;
use super::{Event, EventKind, EventLog, Variable};
use crate::tpm::HashAlgorithm;
use std::collections::{BTreeMap, BTreeSet};

/// What a log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Events, the header included; messages to no register (`0xffffffff`, as Windows ends its log with) are none.
    pub events: usize,
    /// The registers that they name.
    pub registers: BTreeSet<u32>,
    /// How many there are of each type, of the first types that turn up: the specification knows fewer than are told.
    pub kinds: BTreeMap<EventKind, usize>,
    /// Where the last of them ends, in bytes from the beginning of the log: filling, or a message to no register, follows.
    pub ends_at: usize,
    /// How many events have a digest that is not the hash of their data, by type and register: of the types whose data tell what was
    /// measured. The digest of an image or a table is never that of the data beside it, which say where it was.
    pub digests_of_other_data: BTreeMap<(EventKind, u32), u64>,
    /// The locality in which the TPM was started, where the log tells it.
    pub startup_locality: Option<u8>,
    /// Lengths of the Secure Boot databases `PK`, `KEK`, `db` and `dbx`, in bytes, as far as the log has them.
    pub databases: BTreeMap<&'static str, usize>,
}

/// Counts that are told by name.
const MOST_COUNTS: usize = 256;

/// Counts one more of `key`; what is not among the first [`MOST_COUNTS`] is not told.
pub(crate) fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count += 1;
    } else if counts.len() < MOST_COUNTS {
        counts.insert(key, 1);
    }
}

/// The register of a message to whoever reads the log.
const NO_REGISTER: u32 = u32::MAX;

/// Types whose data tell what was measured (PFP 1.06, 10.4.1): separators and actions, versions, variables, partition tables, and what boot
/// loaders have to say.
const TELLING: [u32; 10] = [
    0x0000_0004, // EV_SEPARATOR
    0x0000_0005, // EV_ACTION
    0x0000_0008, // EV_S_CRTM_VERSION
    0x0000_000d, // EV_IPL
    0x8000_0001, // EV_EFI_VARIABLE_DRIVER_CONFIG
    0x8000_0002, // EV_EFI_VARIABLE_BOOT
    0x8000_0006, // EV_EFI_GPT_EVENT
    0x8000_0007, // EV_EFI_ACTION
    0x8000_000c, // EV_EFI_VARIABLE_BOOT2
    0x8000_00e0, // EV_EFI_VARIABLE_AUTHORITY
];

impl Summary {
    /// Of `log`, whose digests of `bank` are held against the events' data.
    #[must_use]
    pub fn of(log: &EventLog<'_>, bank: HashAlgorithm) -> Self {
        let named = |event: &&Event<'_>| event.pcr != NO_REGISTER;
        let mut summary = Self {
            events: 0,
            registers: BTreeSet::new(),
            kinds: BTreeMap::new(),
            ends_at: end_of(log.events()),
            digests_of_other_data: BTreeMap::new(),
            startup_locality: None,
            databases: BTreeMap::new(),
        };
        for event in log.events().iter().filter(named) {
            summary.events += 1;
            summary.registers.insert(event.pcr);
            count(&mut summary.kinds, event.kind);
            if TELLING.contains(&event.kind.0) && log.digest(event, bank) != Some(bank.digest(&[event.data]).as_ref()) {
                *summary.digests_of_other_data.entry((event.kind, event.pcr)).or_default() += 1;
            }
            if !event.is_extended() {
                summary.startup_locality = summary.startup_locality.or_else(|| startup_locality(event.data));
            }
            if let Some((name, length)) = database(event) {
                summary.databases.entry(name).or_insert(length);
            }
        }
        summary
    }
}

fn end_of(events: &[Event<'_>]) -> usize {
    let named = events.iter().rposition(|event| event.pcr != NO_REGISTER).map_or(0, |last| last + 1);
    events.iter().take(named).map(length).sum()
}

/// Bytes that an event takes in the log: register, type and size of the data are words, and so is the count before the digests of a
/// crypto-agile event.
fn length(event: &Event<'_>) -> usize {
    let words = if event.sha1_only { 3 } else { 4 };
    4 * words + event.digests.len() + event.data.len()
}

fn database(event: &Event<'_>) -> Option<(&'static str, usize)> {
    if event.kind != EventKind::EFI_VARIABLE_DRIVER_CONFIG {
        return None;
    }
    let variable = Variable::parse(event.data)?;
    let name = variable.name();
    let known = ["PK", "KEK", "db", "dbx"].into_iter().find(|known| *known == name)?;
    Some((known, variable.contents.len()))
}
