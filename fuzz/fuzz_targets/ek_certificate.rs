#![no_main]
//! An EK certificate and one intermediate (the rest after its two bytes of length): without a configured root none passes.

use podseal_appraisal::{
    check::{Checks, Verdict, worst},
    tpm::ek::{CERTIFICATE_RULES, EkRoots, appraise_certificate},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((certificate, intermediate)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return };
    let mut checks = Checks::owing(&CERTIFICATE_RULES);
    let found = appraise_certificate(certificate, &[intermediate], &EkRoots::default(), 1_800_000_000, &mut checks);
    assert!(found.is_none() && worst(&checks.finish()) != Verdict::Pass);
});
