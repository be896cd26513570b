#![no_main]
//! The IMA list, in both forms, behind a keyring and its two bytes of length: parsing, replaying, verifying. What is read whole adds up.

use podseal_appraisal::{
    ima::{Keyring, List, Survey},
    tpm::HashAlgorithm,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((keyring, list)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return };
    let keyring = Keyring::parse(keyring).unwrap_or_default();
    for list in [List::Ascii(list), List::Binary(list)] {
        let mut seen = 0;
        if let Ok(survey) = Survey::of(list, &HashAlgorithm::ALL, &keyring, |_, _| seen += 1) {
            assert_eq!(survey.entries, seen);
            assert_eq!(survey.entries, survey.matches + survey.mismatches.len() + survey.violations + survey.unreadable);
        }
    }
});
