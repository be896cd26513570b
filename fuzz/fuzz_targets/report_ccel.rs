#![no_main]
//! The boot log of a TD.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("ccel.bin", bytes));
