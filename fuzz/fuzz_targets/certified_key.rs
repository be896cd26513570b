#![no_main]
//! Whatever comes, only the pinned root's statements are taken. The first byte chooses the use; the rest is the certified key.

use podseal_protocol::{
    Digest, Limits,
    key::{CertifiedKey, KeyUse, SecretKey},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Some(root) = SecretKey::from_scalar(&[1; 32]) else { return };
    let verifier = Digest::of(&root.public().to_spki());
    let key_use = [KeyUse::Receipt, KeyUse::Log, KeyUse::Import][usize::from(choice % 3)];
    let now = (choice & 0x80 != 0).then_some(1_800_000_000);
    if let Ok(key) = CertifiedKey::verify(rest, &verifier, key_use, now, &Limits::DEFAULT) {
        assert!(key.as_bytes().len() <= 65);
    }
});
