#![no_main]
//! Any JSON that a report may have: claims, keys, PCR values, runtime data.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("claims.json", bytes));
