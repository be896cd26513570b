#![no_main]
//! What parses was canonical: issued anew, it differs in its MAC at most. No challenge out of nothing carries the MAC.

use podseal_protocol::{Limits, MacKey, ReceivedChallenge};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = MacKey::new(zeroize::Zeroizing::new([3; 32]));
    if let Ok(received) = ReceivedChallenge::parse(bytes, &Limits::DEFAULT) {
        let again = received.fields().issue(&key);
        assert_eq!(again.len(), bytes.len());
        let mac = bytes.len() - 32;
        assert_eq!(again[..mac], bytes[..mac]);
        assert_eq!(received.issued_under(&key), again == bytes);
    }
});
