#![no_main]
//! A TDX quote.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("quote.bin", bytes));
