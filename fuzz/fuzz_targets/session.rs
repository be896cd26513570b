#![no_main]
//! A launcher's session takes nothing that its verifier did not sign. The first two bytes are the length of the leaf; the delivery follows it.

use podseal_protocol::{Digest, Limits, delivery::Session, key::SecretKey};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((leaf, delivery)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return };
    let Some(root) = SecretKey::from_scalar(&[1; 32]) else { return };
    let verifier = Digest::of(&root.public().to_spki());
    let mut session = Session::new(verifier, zeroize::Zeroizing::new([0x11; 32]), [4; 32]);
    if let Ok(taken) = session.take(leaf, delivery, &Limits::DEFAULT) {
        assert_eq!(taken.receipt.verifier, verifier);
        assert!(session.take(leaf, delivery, &Limits::DEFAULT).is_err());
    }
});
