#![no_main]
//! Head and message of a frame agree, or it is refused.

use podseal_protocol::{
    Limits,
    frame::{frame, length},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((head, message)) = bytes.split_first_chunk::<4>() {
        if let Ok(announced) = length(*head, &Limits::DEFAULT) {
            assert!((1..=Limits::DEFAULT.frame).contains(&announced));
        }
        if let Ok(framed) = frame(message, &Limits::DEFAULT) {
            assert_eq!(framed.split_first_chunk::<4>().map(|(head, _)| length(*head, &Limits::DEFAULT)), Some(Ok(message.len())));
        }
    }
});
