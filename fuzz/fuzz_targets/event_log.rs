#![no_main]
//! The boot log, in both formats: parsing, replaying, describing.

use podseal_appraisal::{
    eventlog::{EventLog, ReplayedLog, describe, secure_boot},
    tpm::HashAlgorithm,
};
use podseal_protocol::Limits;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(log) = EventLog::parse(bytes, &Limits::DEFAULT) {
        for event in log.events() {
            if let Some(digest) = log.digest(event, HashAlgorithm::Sha256) {
                assert_eq!(digest.len(), 32);
                let _ = describe(event, HashAlgorithm::Sha256, digest);
            }
        }
        let _ = secure_boot(&log, HashAlgorithm::Sha256);
    }
    let _ = ReplayedLog::replay(bytes, &Limits::DEFAULT);
});
