#![no_main]
//! A service-account token, as shown and as appraised: under a key whose private half nobody has, none passes.

use std::sync::LazyLock;

use podseal_appraisal::{
    check::{Checks, Verdict, worst},
    token::{ClusterKeys, TokenExpectations, appraise_token, describe},
};

static KEYS: LazyLock<Option<ClusterKeys>> = LazyLock::new(|| {
    // The base point of P-256.
    let jwks = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;
    ClusterKeys::parse("cluster", "https://issuer", jwks, true).ok()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = describe(bytes);
    let Some(keys) = KEYS.as_ref() else { panic!("the key is not usable") };
    let expected = TokenExpectations {
        verifier_id: "verifier",
        namespace: "namespace",
        pod: "pod",
        pod_uid: "uid",
        service_account: "account",
        node_uid: "node",
    };
    let mut checks = Checks::owing(&[]);
    let facts = appraise_token(bytes, keys, &expected, 1_800_000_000, &mut checks);
    // Its private key is 1, so a fuzzer that signs could pass; one that does not reaches facts by no other way.
    assert!(facts.is_none() || worst(&checks.finish()) == Verdict::Pass);
});
