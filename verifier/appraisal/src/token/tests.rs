#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::check::{Check, Verdict, first_obstacle, worst};

const NOW: u64 = 1_750_000_000;
const VERIFIER: &str = "4c1d9f";
const ISSUER: &str = "https://kubernetes.default.svc";
const NODE_UID: &str = "n-1";

const EXPECTED: TokenExpectations<'_> = TokenExpectations {
    verifier_id: VERIFIER,
    namespace: "payments",
    pod: "payment-api-0",
    pod_uid: "p-1",
    service_account: "payment-api",
    node_uid: NODE_UID,
};

pub(super) static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER_RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub(super) static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// `RSAPublicKey` (RFC 8017, A.1.1) of a 2048-bit key: the modulus stands behind nine bytes of tags, lengths and sign.
pub(super) fn rsa_jwk(key: &RsaKeyPair, kid: &str) -> Value {
    let modulus = &key.public_key().as_ref()[9..265];
    json!({"use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
}

pub(super) fn ec_jwk(key: &EcdsaKeyPair, kid: &str) -> Value {
    let point = key.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    json!({"use": "sig", "kty": "EC", "kid": kid, "alg": "ES256", "crv": "P-256", "x": x, "y": y})
}

fn cluster(keys: &[Value], tokens_name_nodes: bool) -> ClusterKeys {
    ClusterKeys::parse("prod-eu", ISSUER, json!({"keys": keys}).to_string().as_bytes(), tokens_name_nodes).unwrap()
}

fn keys() -> ClusterKeys {
    cluster(&[rsa_jwk(&RSA, "rsa-1"), ec_jwk(&EC, "ec-1")], true)
}

fn claims() -> Value {
    json!({
        "aud": [VERIFIER], "iss": ISSUER, "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 540, "jti": "j-1",
        "sub": "system:serviceaccount:payments:payment-api",
        "kubernetes.io": {
            "namespace": "payments",
            "pod": {"name": "payment-api-0", "uid": "p-1"},
            "node": {"name": "node-a", "uid": NODE_UID},
            "serviceaccount": {"name": "payment-api", "uid": "s-1"},
        },
    })
}

fn sign_rsa(signed: &str, key: &RsaKeyPair) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    signature
}

fn sign_ec(signed: &str) -> Vec<u8> {
    EC.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec()
}

fn compact(header: &str, claims: &str, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(&signed));
    format!("{signed}.{signature}")
}

fn rs256(claims: &Value) -> String {
    compact(r#"{"alg":"RS256","kid":"rsa-1"}"#, &claims.to_string(), |signed| sign_rsa(signed, &RSA))
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    rs256(&claims)
}

fn appraise(token: &str, keys: &ClusterKeys) -> (Option<TokenFacts>, Vec<Check>) {
    let mut checks = Checks::owing(&[]);
    let facts = appraise_token(token.as_bytes(), keys, &EXPECTED, NOW, &mut checks);
    (facts, checks.finish())
}

#[track_caller]
fn accepted(token: &str, keys: &ClusterKeys) -> TokenFacts {
    let (facts, checks) = appraise(token, keys);
    assert_eq!(worst(&checks), Verdict::Pass, "{:?}", first_obstacle(&checks));
    facts.expect("facts")
}

#[track_caller]
fn refused_by(rule: &str, token: &str, keys: &ClusterKeys) {
    let (facts, checks) = appraise(token, keys);
    assert_eq!(first_obstacle(&checks).map(|check| check.rule.name), Some(rule));
    assert_eq!(facts, None);
}

#[test]
fn honest_tokens_of_both_algorithms() {
    let facts = accepted(&rs256(&claims()), &keys());
    assert_eq!((facts.cluster.as_str(), facts.names_node, facts.expires), ("prod-eu", Claim::Appraised(true), NOW + 540));
    accepted(&compact(r#"{"alg":"ES256","kid":"ec-1"}"#, &claims().to_string(), sign_ec), &keys());
    accepted(&with(|c| c["aud"] = VERIFIER.into()), &keys());
}

#[test]
fn token_alg_none() {
    let unsigned = |_: &str| Vec::new();
    refused_by("token.algorithm", &compact(r#"{"alg":"none","kid":"rsa-1"}"#, &claims().to_string(), unsigned), &keys());
    refused_by("token.key_known", &compact(r#"{"alg":"none"}"#, &claims().to_string(), unsigned), &keys());
    refused_by("token.algorithm", &compact(r#"{"kid":"rsa-1"}"#, &claims().to_string(), |s| sign_rsa(s, &RSA)), &keys());
}

#[test]
fn token_hmac_with_public_key() {
    let pkcs1 = RSA.public_key().as_ref().to_vec();
    let spki = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(RSA.public_key()).unwrap().as_ref().to_vec();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD
            .encode(&spki)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>()
            .join("\n")
    );
    for secret in [pkcs1, spki, pem.into_bytes()] {
        let sign = |signed: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes()).as_ref().to_vec();
        refused_by("token.algorithm", &compact(r#"{"alg":"HS256","kid":"rsa-1"}"#, &claims().to_string(), sign), &keys());
    }
}

#[test]
fn algorithm_of_another_key() {
    refused_by("token.algorithm", &compact(r#"{"alg":"ES256","kid":"rsa-1"}"#, &claims().to_string(), sign_ec), &keys());
    refused_by("token.algorithm", &compact(r#"{"alg":"RS256","kid":"ec-1"}"#, &claims().to_string(), |s| sign_rsa(s, &RSA)), &keys());
    refused_by("token.algorithm", &compact(r#"{"alg":"RS512","kid":"rsa-1"}"#, &claims().to_string(), |s| sign_rsa(s, &RSA)), &keys());
}

#[test]
fn same_issuer_other_cluster() {
    let theirs = compact(r#"{"alg":"RS256","kid":"rsa-1"}"#, &claims().to_string(), |s| sign_rsa(s, &OTHER_RSA));
    accepted(&theirs, &cluster(&[rsa_jwk(&OTHER_RSA, "rsa-1")], true));
    refused_by("token.signature", &theirs, &keys());
    let other_kid = compact(r#"{"alg":"RS256","kid":"rsa-9"}"#, &claims().to_string(), |s| sign_rsa(s, &OTHER_RSA));
    refused_by("token.key_known", &other_kid, &keys());
}

#[test]
fn altered_signature_or_claims() {
    let honest = rs256(&claims());
    let (signed, signature) = honest.rsplit_once('.').unwrap();
    refused_by("token.signature", &format!("{signed}."), &keys());
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[100] ^= 1;
    refused_by("token.signature", &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes)), &keys());
    let other = with(|c| c["kubernetes.io"]["pod"]["uid"] = "p-2".into());
    let grafted = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    refused_by("token.signature", &grafted, &keys());
}

#[test]
fn token_without_pod() {
    refused_by("token.bound_to_pod", &with(|c| drop(c["kubernetes.io"].as_object_mut().unwrap().remove("pod"))), &keys());
    refused_by("token.bound_to_pod", &with(|c| drop(c["kubernetes.io"]["pod"].as_object_mut().unwrap().remove("uid"))), &keys());
    refused_by("token.namespace", &with(|c| drop(c.as_object_mut().unwrap().remove("kubernetes.io"))), &keys());
}

#[test]
fn token_of_other_pod() {
    refused_by("token.pod", &with(|c| c["kubernetes.io"]["pod"]["uid"] = "p-2".into()), &keys());
    refused_by("token.pod", &with(|c| c["kubernetes.io"]["pod"]["name"] = "payment-api-1".into()), &keys());
}

#[test]
fn token_of_other_node() {
    refused_by("token.node", &with(|c| c["kubernetes.io"]["node"]["uid"] = "n-2".into()), &keys());
}

#[test]
fn token_without_node() {
    let token = with(|c| drop(c["kubernetes.io"].as_object_mut().unwrap().remove("node")));
    let (facts, checks) = appraise(&token, &keys());
    assert_eq!((facts, worst(&checks)), (None, Verdict::NotAppraised));
    assert_eq!(first_obstacle(&checks).unwrap().rule.name, "token.node");
    let declared_old = cluster(&[rsa_jwk(&RSA, "rsa-1")], false);
    assert_eq!(accepted(&token, &declared_old).names_node.appraised(), None);
    refused_by("token.node", &with(|c| c["kubernetes.io"]["node"]["uid"] = "n-2".into()), &declared_old);
}

#[test]
fn other_identity() {
    refused_by("token.issuer", &with(|c| c["iss"] = "https://kubernetes.default.svc/".into()), &keys());
    refused_by("token.issuer", &with(|c| drop(c.as_object_mut().unwrap().remove("iss"))), &keys());
    refused_by(
        "token.namespace",
        &with(|c| {
            c["kubernetes.io"]["namespace"] = "other".into();
            c["sub"] = "system:serviceaccount:other:payment-api".into();
        }),
        &keys(),
    );
    refused_by(
        "token.service_account",
        &with(|c| {
            c["kubernetes.io"]["serviceaccount"]["name"] = "other".into();
            c["sub"] = "system:serviceaccount:payments:other".into();
        }),
        &keys(),
    );
    refused_by("token.subject", &with(|c| c["sub"] = "system:serviceaccount:payments:other".into()), &keys());
}

#[test]
fn other_audience() {
    for audience in [json!("api"), json!([]), json!([VERIFIER, "api"]), json!([VERIFIER, VERIFIER]), Value::Null] {
        refused_by("token.audience", &with(|c| c["aud"] = audience), &keys());
    }
}

#[test]
fn token_long_lived() {
    accepted(&with(|c| c["exp"] = (NOW - 60 + LONGEST_LIFETIME).into()), &keys());
    refused_by("token.lifetime", &with(|c| c["exp"] = (NOW - 60 + LONGEST_LIFETIME + 1).into()), &keys());
    refused_by("token.lifetime", &with(|c| (c["exp"], c["iat"]) = (NOW.into(), (NOW + 1).into())), &keys());
    refused_by("token.expired", &with(|c| drop(c.as_object_mut().unwrap().remove("exp"))), &keys());
}

#[test]
fn token_outside_its_time() {
    accepted(&with(|c| (c["iat"], c["exp"]) = ((NOW - 400).into(), (NOW - CLOCK_SKEW + 1).into())), &keys());
    refused_by("token.expired", &with(|c| (c["iat"], c["exp"]) = ((NOW - 400).into(), (NOW - CLOCK_SKEW).into())), &keys());
    accepted(&with(|c| (c["nbf"], c["iat"]) = ((NOW + CLOCK_SKEW).into(), (NOW + CLOCK_SKEW).into())), &keys());
    refused_by("token.not_before", &with(|c| c["nbf"] = (NOW + CLOCK_SKEW + 1).into()), &keys());
    refused_by("token.not_before", &with(|c| drop(c.as_object_mut().unwrap().remove("nbf"))), &keys());
    refused_by("token.issued", &with(|c| c["iat"] = (NOW + CLOCK_SKEW + 1).into()), &keys());
}

#[test]
fn duplicate_keys() {
    let honest = claims().to_string();
    let twice = [
        honest.replacen('{', r#"{"iss":"x","#, 1),
        honest.replacen(r#""pod":{"#, r#""pod":{"uid":"p-2","#, 1),
        honest.replacen('{', r#"{"ISS":"x","#, 1),
        honest.replacen('{', r#"{"x":{"y":1,"y":2},"#, 1),
    ];
    for text in twice {
        let token = compact(r#"{"alg":"RS256","kid":"rsa-1"}"#, &text, |s| sign_rsa(s, &RSA));
        refused_by("token.claims", &token, &keys());
    }
    let token = compact(r#"{"alg":"none","alg":"RS256","kid":"rsa-1"}"#, &honest, |s| sign_rsa(s, &RSA));
    refused_by("token.parses", &token, &keys());
}

#[test]
fn critical_extensions_are_not_understood() {
    let token = compact(r#"{"alg":"RS256","kid":"rsa-1","b64":false,"crit":["b64"]}"#, &claims().to_string(), |s| sign_rsa(s, &RSA));
    refused_by("token.critical", &token, &keys());
}

#[test]
fn other_encodings() {
    let honest = rs256(&claims());
    accepted(&honest, &keys());
    let (signed, signature) = honest.rsplit_once('.').unwrap();
    // 256 bytes end in a character with four stray bits (RFC 4648, 3.5).
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let stray = alphabet.as_bytes()[alphabet.find(last).unwrap() + 1] as char;
    let wrong = [
        format!("{honest}."),
        format!("{honest}.x"),
        signed.to_owned(),
        format!("{honest}="),
        format!("{honest}=="),
        format!("{honest}\n"),
        format!(" {honest}"),
        format!("{signed}.{}{stray}", &signature[..signature.len() - 1]),
        format!("{}{}", honest, ".".repeat(20_000)),
        honest.replacen('.', "..", 1),
    ];
    for token in wrong {
        refused_by("token.parses", &token, &keys());
    }
}

#[test]
fn no_token_is_not_appraised() {
    let (facts, checks) = appraise("", &keys());
    assert_eq!((facts, worst(&checks)), (None, Verdict::NotAppraised));
    assert!(checks.iter().any(|check| std::ptr::eq(check.rule, &raw const rules::NODE)));
}

proptest! {
    #[test]
    fn no_bytes_panic(token in proptest::collection::vec(any::<u8>(), 0..400), header in "\\PC{0,80}", text in "\\PC{0,200}") {
        let mut checks = Checks::owing(&[]);
        prop_assert_eq!(appraise_token(&token, &keys(), &EXPECTED, NOW, &mut checks), None);
        let formed = compact(&header, &text, |_| token.clone());
        prop_assert_eq!(appraise(&formed, &keys()).0, None);
        let signed = compact(r#"{"alg":"RS256","kid":"rsa-1"}"#, &text, |s| sign_rsa(s, &RSA));
        prop_assert_eq!(appraise(&signed, &keys()).0, None);
    }
}
