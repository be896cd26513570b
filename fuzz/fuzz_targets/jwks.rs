#![no_main]
//! A cluster's JSON Web Key Set: taken as a whole or not at all.

use podseal_appraisal::token::ClusterKeys;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(keys) = ClusterKeys::parse("cluster", "https://issuer", bytes, true) {
        assert!((1..=32).contains(&keys.key_ids().count()));
    }
});
