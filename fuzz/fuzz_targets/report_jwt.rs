#![no_main]
//! A token in JOSE's compact form.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("token.jwt", bytes));
