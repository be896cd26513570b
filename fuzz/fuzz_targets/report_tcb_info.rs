#![no_main]
//! TCB info as Intel's service answers it.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("tcb_info.json", bytes));
