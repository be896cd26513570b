#![no_main]
//! PEM: certificates, keys, revocation lists.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("chain.pem", bytes));
