#![no_main]
//! All files of a report together: what none of them shows by itself.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::files(bytes));
