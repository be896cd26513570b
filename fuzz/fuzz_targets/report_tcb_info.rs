#![no_main]
//! TCB info and the quoting enclave's identity as Intel's service answers them. What they say is read only once Intel's signature held.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::tcb_info(bytes));
