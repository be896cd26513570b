#![no_main]
//! The HCL report of an Azure vTPM.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("hcl_report.bin", bytes));
