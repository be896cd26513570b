#![no_main]
//! TPMT_PUBLIC, as an AK and as an EK. The name covers every byte.

use podseal_appraisal::{
    check::{Checks, Verdict, worst},
    tpm::{
        ak::{RULES, appraise_ak},
        ek::EkPublic,
        structures::{Name, Public},
    },
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parsed = Public::parse(bytes);
    if let Ok(public) = &parsed {
        assert_eq!(Name::parse(public.name().as_ref()), Some(public.name()));
    }
    let mut checks = Checks::owing(&RULES);
    let ak = appraise_ak(bytes, &mut checks);
    assert_eq!(ak.is_some(), worst(&checks.finish()) == Verdict::Pass);
    if let Some(ek) = EkPublic::parse(bytes) {
        assert!(parsed.is_ok() && ak.is_none());
        let _ = ek.spki();
    }
});
