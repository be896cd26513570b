#![no_main]
//! A policy text: whatever compiles keeps its head, and what does not is an error with a text.

use podseal_appraisal::policy::{Policy, PolicyLimits};
use podseal_protocol::Digest;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match Policy::parse(text, &PolicyLimits::DEFAULT) {
        Ok(policy) => assert_eq!(policy.head(), Digest::of(text.as_bytes())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
