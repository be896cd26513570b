#![no_main]
//! The boot log, in both formats: parsing, replaying, describing.

use podseal_appraisal::{
    eventlog::{EventLog, ReplayedLog, describe, secure_boot, secure_boot_of_td},
    layout::Layout,
    tpm::HashAlgorithm,
};
use podseal_protocol::{Bank, Limits};

const BANKS: [HashAlgorithm; 2] = [HashAlgorithm::Sha256, HashAlgorithm::Sha384];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(log) = EventLog::parse(bytes, &Limits::DEFAULT) {
        for event in log.events() {
            for bank in BANKS {
                if let Some(digest) = log.digest(event, bank) {
                    assert_eq!(digest.len(), bank.size());
                    let _ = describe(event, bank, digest);
                }
            }
        }
        for bank in BANKS {
            let _ = (secure_boot(&log, bank), secure_boot_of_td(&log, bank));
        }
    }
    let _ = ReplayedLog::replay(bytes, Bank::Sha256, Layout::Tpm, &Limits::DEFAULT);
    let _ = ReplayedLog::replay(bytes, Bank::Sha384, Layout::Td, &Limits::DEFAULT);
});
