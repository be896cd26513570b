//! Real service-account tokens: what they claim is read, and without their cluster's keys none is ever verified.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use podseal_appraisal::{
    check::{Checks, Verdict, first_obstacle, worst},
    token::{ClusterKeys, TokenExpectations, UnverifiedToken, appraise_token, describe},
};
use serde_json::{Value, json};

/// The folder of the vectors; `None`, said aloud, where there is none. In CI that is a failure.
fn vectors() -> Option<PathBuf> {
    let configured = std::env::var_os("PODSEAL_VECTORS").map(PathBuf::from);
    let folder = configured.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"));
    if folder.join("manifest.json").is_file() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no vectors in {}: set PODSEAL_VECTORS", folder.display());
    eprintln!("SKIPPED: no vectors in {}: set PODSEAL_VECTORS", folder.display());
    None
}

#[test]
fn k8s_token_vectors() {
    let Some(folder) = vectors() else { return };
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let entries: Vec<&Value> = manifest.as_array().unwrap().iter().filter(|entry| entry["category"] == "k8s-token").collect();
    assert!(!entries.is_empty(), "the manifest has no k8s-token entries");
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    for entry in entries {
        let id = entry["id"].as_str().unwrap();
        assert_eq!(entry["expected"]["verdict"], "parse", "{id}: a verdict that this test does not know");
        let file = std::fs::read(folder.join(entry["path"].as_str().unwrap()).join("token.jwt")).unwrap();
        let bytes = file.strip_suffix(b"\n").unwrap_or(&file);
        let token = describe(bytes).unwrap_or_else(|error| panic!("{id}: {error}"));
        claims_agree(id, &token, &entry["expected"]["claims"]);
        never_verified(id, bytes, &token, &key);
    }
}

fn claims_agree(id: &str, token: &UnverifiedToken, expected: &Value) {
    let (header, claims) = (&expected["header"], &expected["claims"]);
    let text = |value: &Option<String>| value.clone().map_or(Value::Null, Value::from);
    assert_eq!(text(&token.algorithm), header["alg"], "{id}: alg");
    assert_eq!(text(&token.key_id), header["kid"], "{id}: kid");
    assert_eq!(text(&token.issuer), claims["iss"], "{id}: iss");
    assert_eq!(text(&token.subject), claims["sub"], "{id}: sub");
    assert_eq!(json!(token.audience), claims.get("aud").cloned().unwrap_or(json!([])), "{id}: aud");
    assert_eq!(json!(token.expires), claims["exp"], "{id}: exp");
    assert_eq!(json!(token.issued), claims["iat"], "{id}: iat");
    assert_eq!(json!(token.not_before), claims["nbf"], "{id}: nbf");
    let kubernetes = &claims["kubernetes.io"];
    assert_eq!(text(&token.namespace), kubernetes["namespace"], "{id}: namespace");
    let object = |value: &Option<(String, String)>| value.as_ref().map_or(Value::Null, |(name, uid)| json!({"name": name, "uid": uid}));
    assert_eq!(object(&token.pod), kubernetes["pod"], "{id}: pod");
    assert_eq!(object(&token.node), kubernetes["node"], "{id}: node");
    assert_eq!(object(&token.service_account), kubernetes["serviceaccount"], "{id}: service account");
    assert_eq!(token.pod.is_some(), expected["bound"].as_bool().unwrap(), "{id}: bound");
}

/// Under a key of the same kid, and with everything else expected as the token has it, the signature is what fails.
fn never_verified(id: &str, bytes: &[u8], token: &UnverifiedToken, key: &KeyPair) {
    let modulus = URL_SAFE_NO_PAD.encode(&key.public_key().as_ref()[9..265]);
    let jwks = json!({"keys": [{"kty": "RSA", "kid": token.key_id.clone().unwrap(), "n": modulus, "e": "AQAB"}]}).to_string();
    let keys = ClusterKeys::parse("test", token.issuer.as_deref().unwrap(), jwks.as_bytes(), false).unwrap();
    let (pod, pod_uid) = token.pod.clone().unwrap_or_default();
    let expected = TokenExpectations {
        verifier_id: token.audience.first().map_or("", String::as_str),
        namespace: token.namespace.as_deref().unwrap_or_default(),
        pod: &pod,
        pod_uid: &pod_uid,
        service_account: token.service_account.as_ref().map_or("", |(name, _)| name),
        node_uid: "",
    };
    let mut checks = Checks::owing(&[]);
    assert_eq!(appraise_token(bytes, &keys, &expected, token.issued.unwrap_or(0), &mut checks), None, "{id}");
    let checks = checks.finish();
    assert_eq!(worst(&checks), Verdict::Fail, "{id}");
    assert_eq!(first_obstacle(&checks).unwrap().rule.name, "token.signature", "{id}");
}
