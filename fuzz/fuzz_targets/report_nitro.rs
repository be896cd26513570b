#![no_main]
//! A document of a Nitro enclave or of NitroTPM.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("document.cose", bytes));
