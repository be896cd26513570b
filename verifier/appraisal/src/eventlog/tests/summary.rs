use super::forge::{DRIVER_CONFIG, boot, entry, log, variable};
use crate::eventlog::{EventKind, EventLog, Summary};
use crate::tpm::HashAlgorithm;
use podseal_protocol::Limits;
use std::collections::{BTreeMap, BTreeSet};

fn summary(bytes: &[u8]) -> Summary {
    Summary::of(&EventLog::parse(bytes, &Limits::DEFAULT).unwrap(), HashAlgorithm::Sha256)
}

#[test]
fn what_a_log_says_of_itself() {
    let mut entries = boot();
    entries.insert(0, entry(0, 3, b"StartupLocality\0\x03"));
    entries.push(entry(7, DRIVER_CONFIG, &variable("db", &[9; 5])));
    let whole = log(&entries);
    entries.push(entry(u32::MAX, 3, b"a message to nobody"));
    let told = summary(&log(&entries));
    assert_eq!(told.events, 8);
    assert_eq!(told.registers, BTreeSet::from([0, 7, 8, 9]));
    assert_eq!(told.kinds[&EventKind::NO_ACTION], 2);
    assert_eq!(told.startup_locality, Some(3));
    assert_eq!(told.databases, BTreeMap::from([("db", 5)]));
    assert_eq!(told.digests_of_other_data, BTreeMap::from([((EventKind::IPL, 8), 1)]));
    assert_eq!(told.ends_at, whole.len());
    assert_eq!(summary(&[whole.clone(), vec![0xff; 50]].concat()).ends_at, whole.len());
}
