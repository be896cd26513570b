#![no_main]
//! A token in COSE.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("token.cose", bytes));
