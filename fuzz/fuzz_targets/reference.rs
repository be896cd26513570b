#![no_main]
//! A file of reference values.

use podseal_appraisal::{reference::Reference, tpm::PcrSet};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        assert_ne!(reference.registers(), PcrSet::default());
        assert!(!reference.name().is_empty());
    }
});
