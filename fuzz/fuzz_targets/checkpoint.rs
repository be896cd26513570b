#![no_main]
//! A checkpoint note: without the key's signature none verifies.

use podseal_appraisal::{
    check::{Checks, Verdict, worst},
    checkpoint::{Checkpoint, FORM, ORIGIN, SIGNATURE},
};
use podseal_protocol::Digest;

libfuzzer_sys::fuzz_target!(|note: &str| {
    let mut checks = Checks::owing(&[&SIGNATURE, &ORIGIN, &FORM]);
    let found = Checkpoint::verify(note, &Digest([7; 32]), &[0x58; 32], &mut checks);
    assert!(found.is_none() && worst(&checks.finish()) != Verdict::Pass);
});
