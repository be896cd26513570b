#![no_main]
//! A certificate or a revocation list, by itself.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::x509(bytes));
