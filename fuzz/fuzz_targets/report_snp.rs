#![no_main]
//! An SEV-SNP report, with or without a certificate table.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::report("report.bin", bytes));
