#![no_main]
//! An IMA list, binary.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("binary_runtime_measurements", bytes));
