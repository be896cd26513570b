#![no_main]
//! What decodes was canonical: it encodes to the same bytes.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podseal_fuzz::canonical!(podseal_appraisal::continuity::NodeState, bytes));
