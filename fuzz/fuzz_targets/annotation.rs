#![no_main]
//! What the annotation yields is what a leaf may carry.

use podseal_protocol::{
    Limits, SecretRequest,
    leaf::{is_file_name, is_secret_name},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(requests) = SecretRequest::parse_annotation(text, &Limits::DEFAULT) {
        assert!(!requests.is_empty() && requests.len() <= Limits::DEFAULT.secrets);
        for (position, request) in requests.iter().enumerate() {
            assert!(is_file_name(&request.file) && is_secret_name(&request.secret, &Limits::DEFAULT));
            assert!(requests[..position].iter().all(|earlier| earlier.file != request.file));
        }
    }
});
