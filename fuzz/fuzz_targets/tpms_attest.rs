#![no_main]
//! TPMS_ATTEST.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = podseal_appraisal::tpm::structures::Attest::parse(bytes);
});
