#![no_main]
//! The plaintext of a delivery: content and padding have one form.

use podseal_protocol::{
    Limits,
    seal::{decode_secrets, encode_secrets},
};

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    let mut padded = [content, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(512), 0);
    for bytes in [content, &padded] {
        if let Ok(files) = decode_secrets(bytes, &Limits::DEFAULT) {
            assert_eq!(*encode_secrets(&files), bytes);
        }
    }
});
