#![no_main]
//! TPMT_SIGNATURE.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(signature) = podseal_appraisal::tpm::structures::Signature::parse(bytes) {
        assert!(!signature.scheme().is_empty());
    }
});
