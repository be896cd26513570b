#![no_main]
//! The IMA list, in both forms: parsing, replaying, verifying. Both that are read whole lead somewhere or say why not.

use podseal_appraisal::{
    ima::{Keyring, List, Survey},
    tpm::HashAlgorithm,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let keyring = Keyring::parse(bytes).unwrap_or_default();
    for list in [List::Ascii(bytes), List::Binary(bytes)] {
        let mut seen = 0;
        if let Ok(survey) = Survey::of(list, &HashAlgorithm::ALL, &keyring, |_, _| seen += 1) {
            assert_eq!(survey.entries, seen);
            assert_eq!(survey.entries, survey.matches + survey.mismatches.len() + survey.violations + survey.unreadable);
        }
    }
});
