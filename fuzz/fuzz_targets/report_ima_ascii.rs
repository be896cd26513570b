#![no_main]
//! An IMA list, as text.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("ascii_runtime_measurements", bytes));
