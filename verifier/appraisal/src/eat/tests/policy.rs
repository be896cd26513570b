use super::mint::{Signer, jwk, p256, signers};
use crate::cose::tests::{array, bytes, int, map, text};
use crate::eat::{Claims, appraise_policy};
use crate::tpm::tests::appraise;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The rules that failed of claims under this key.
pub(super) fn refused(claims: &Claims, signer: &Signer) -> Vec<&'static str> {
    let (holds, failed) = appraise(&[], |checks| Some(appraise_policy(claims, &jwk(signer), checks)));
    assert_eq!(holds, Some(failed.is_empty()));
    failed
}

pub(super) fn of_json(claims: &Value) -> Vec<&'static str> {
    refused(&Claims::of_json(claims.to_string().as_bytes()).unwrap(), &p256())
}

#[test]
fn key_that_vouches_for_itself() {
    let (signer, other) = (p256(), p256());
    let bare = json!({"crv": "P-256", "x": signer.jwk["x"]});
    let der = URL_SAFE_NO_PAD.encode(&signer.spki);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&signer.spki));
    let own = [
        json!({"jwk": signer.jwk}),
        json!({"a": [{"keys": [other.jwk, signer.jwk]}]}),
        signer.jwk.clone(),
        json!({"cnf": {"jwk": bare}}),
        json!({"a": signer.jwk.to_string()}),
        json!({"a": [der]}),
        json!({"a": pem}),
    ];
    for mut claims in own {
        claims["swname"] = "a".into();
        let claims = Claims::of_json(claims.to_string().as_bytes()).unwrap();
        assert_eq!(refused(&claims, &signer), ["eat.key_of_its_own"]);
        assert_eq!(refused(&claims, &p256()), [""; 0]);
    }
}

/// `cnf` with a `COSE_Key` (RFC 8747, 3.2), for each type of key.
#[test]
fn cose_key_that_vouches_for_itself() {
    for signer in signers() {
        let number = |name: &str| bytes(&URL_SAFE_NO_PAD.decode(signer.jwk[name].as_str().unwrap()).unwrap());
        let key = match signer.jwk["kty"].as_str().unwrap() {
            "RSA" => vec![(int(1), int(3)), (int(-1), number("n")), (int(-2), number("e"))],
            // The point in its compressed form.
            "EC" => vec![(int(1), int(2)), (int(-2), number("x")), (int(-3), vec![0xf5])],
            _ => vec![(int(1), int(1)), (int(-2), number("x"))],
        };
        let claims = Claims::of_cbor(&map(&[(int(256), bytes(&[1])), (int(8), map(&[(int(1), map(&key))]))])).unwrap();
        assert_eq!(refused(&claims, &signer), ["eat.key_of_its_own"], "{}", signer.name);
        assert_eq!(refused(&claims, &p256()), [""; 0], "{}", signer.name);
    }
}

fn ear() -> Value {
    json!({
        "eat_profile": "tag:github.com,2023:veraison/ear",
        "iat": 1_666_091_373,
        "ear.raw-evidence": "AQ",
        "ear.verifier-id": {"developer": "d", "build": "b"},
        "submods": {"test": {"ear.status": "affirming", "ear.trustworthiness-vector": {"hardware": 2, "executables": 0}}},
    })
}

fn ear_with(change: impl FnOnce(&mut Value)) -> Vec<&'static str> {
    let mut claims = ear();
    change(&mut claims);
    of_json(&claims)
}

#[test]
fn result_that_does_not_affirm() {
    assert_eq!(of_json(&ear()), [""; 0]);
    for status in [json!("none"), json!("warning"), json!("contraindicated"), json!(0), json!(32), json!(96)] {
        assert_eq!(ear_with(|claims| claims["submods"]["test"]["ear.status"] = status.clone()), ["eat.result"], "{status}");
        assert_eq!(ear_with(|claims| claims["submods"]["other"] = json!({"ear.status": status})), ["eat.result"]);
        assert_eq!(of_json(&json!({"ear.status": status})), ["eat.result"]);
    }
    assert_eq!(ear_with(|claims| claims["submods"]["test"]["ear.status"] = 2.into()), [""; 0]);
    for claim in [32, 96, 127, -33, -97] {
        let worse = |claims: &mut Value| claims["submods"]["test"]["ear.trustworthiness-vector"]["hardware"] = claim.into();
        assert_eq!(ear_with(worse), ["eat.result"], "{claim}");
    }
}

#[test]
fn result_in_cbor() {
    let ear = |status: i64, claim: i64| {
        let appraisal = map(&[(int(1000), int(status)), (int(1001), map(&[(int(0), int(claim))]))]);
        let verifier = map(&[(int(0), text("developer")), (int(1), text("build"))]);
        let profile = text("tag:github.com,2023:veraison/ear");
        let submodules = map(&[(text("test"), appraisal)]);
        let claims = map(&[(int(265), profile), (int(6), int(1)), (int(1004), verifier), (int(266), submodules)]);
        refused(&Claims::of_cbor(&claims).unwrap(), &p256())
    };
    assert_eq!(ear(2, 2), [""; 0]);
    assert_eq!(ear(32, 2), ["eat.result"]);
    assert_eq!(ear(2, 96), ["eat.result"]);
}

/// A submodule may have submodules of its own, in EAR or not.
#[test]
fn result_in_a_submodule_of_a_submodule() {
    let submodules = |one: &str, value: Value| json!({"inner": {"submods": {"innermost": {one: value}}}});
    for status in ["warning", "contraindicated", "good"] {
        let status = submodules("ear.status", status.into());
        assert_eq!(ear_with(|claims| claims["submods"]["test"]["submods"] = status.clone()), ["eat.result"]);
        assert_eq!(of_json(&json!({"swname": "a", "submods": status})), ["eat.result"]);
    }
    let vector = submodules("ear.trustworthiness-vector", json!({"hardware": 97}));
    assert_eq!(ear_with(|claims| claims["submods"]["test"]["submods"] = vector.clone()), ["eat.result"]);
    let debug = submodules("dbgstat", "enabled".into());
    assert_eq!(ear_with(|claims| claims["submods"]["test"]["submods"] = debug.clone()), ["eat.debug"]);
    let fine = submodules("dbgstat", "disabled".into());
    assert_eq!(ear_with(|claims| claims["submods"]["test"]["submods"] = fine.clone()), [""; 0]);
    for wrong in [json!([]), json!([{"ear.status": "warning"}]), json!({"a": [{"ear.status": "warning"}]}), json!({"a": 1})] {
        assert_eq!(of_json(&json!({"swname": "a", "submods": wrong})), ["eat.profile"], "{wrong}");
    }
    let others = json!({"a": ["DIGEST", ["SHA-256", "AAAA"]], "b": {"swname": "b"}, "c": "e30"});
    assert_eq!(of_json(&json!({"submods": others})), [""; 0]);
}

#[test]
fn result_without_what_its_profile_demands() {
    for name in ["iat", "ear.verifier-id", "submods"] {
        assert_eq!(ear_with(|claims| drop(claims.as_object_mut().unwrap().remove(name))), ["eat.profile"], "{name}");
    }
    assert_eq!(ear_with(|claims| claims["submods"] = json!({})), ["eat.profile"]);
    assert_eq!(ear_with(|claims| claims["submods"]["test"] = json!({"a": 1})), ["eat.profile"]);
    assert_eq!(ear_with(|claims| claims["submods"]["test"]["ear.status"] = "good".into()), ["eat.profile", "eat.result"]);
    assert_eq!(ear_with(|claims| claims["ear.verifier-id"] = json!({"build": "b"})), ["eat.profile"]);
    assert_eq!(ear_with(|claims| claims["submods"]["test"]["ear.trustworthiness-vector"] = json!([])), ["eat.profile"]);
}

#[test]
fn nonce_of_a_length_that_is_none() {
    for nonce in [json!(""), json!("1234567"), json!("a".repeat(89)), json!([]), json!(["12345678", ""]), json!(1)] {
        assert_eq!(of_json(&json!({"swname": "a", "eat_nonce": nonce})), ["eat.profile"], "{nonce}");
    }
    assert_eq!(of_json(&json!({"swname": "a", "eat_nonce": ["12345678", "a".repeat(88)]})), [""; 0]);
    for length in [0, 7, 65] {
        let claims = Claims::of_cbor(&map(&[(int(256), bytes(&[1])), (int(10), bytes(&vec![1; length]))])).unwrap();
        assert_eq!(refused(&claims, &p256()), ["eat.profile"], "{length}");
    }
    let two = Claims::of_cbor(&map(&[(int(256), bytes(&[1])), (int(10), array(&[bytes(&[1; 8]), bytes(&[1; 64])]))])).unwrap();
    assert_eq!(refused(&two, &p256()), [""; 0]);
}

#[test]
fn device_that_lets_debuggers_in() {
    for status in [json!("enabled"), json!("Disabled"), json!("unknown"), json!(0), json!(3), json!(null), json!(true)] {
        assert_eq!(of_json(&json!({"dbgstat": status})), ["eat.debug"], "{status}");
        assert_eq!(of_json(&json!({"swname": "a", "submods": {"a": {"dbgstat": status}}})), ["eat.debug"], "{status}");
    }
    for status in ["disabled", "disabled-since-boot", "disabled-permanently", "disabled-fully-and-permanently"] {
        assert_eq!(of_json(&json!({"dbgstat": status})), [""; 0], "{status}");
    }
    let status = |value| refused(&Claims::of_cbor(&map(&[(int(263), value)])).unwrap(), &p256());
    for wrong in [int(0), int(5), int(-1), text("disabled"), text("4")] {
        assert_eq!(status(wrong.clone()), ["eat.debug"], "{wrong:?}");
    }
    for value in 1..=4 {
        assert_eq!(status(int(value)), [""; 0]);
    }
}

#[test]
fn token_that_claims_nothing() {
    let about_itself = json!({"iss": "i", "sub": "s", "iat": 1, "exp": 2, "eat_nonce": "12345678", "hello": "w"});
    for claims in [json!({}), json!({"iat": 1, "hello": "w"}), about_itself, json!({"submods": {"a": {"iat": 1}}})] {
        assert_eq!(of_json(&claims), ["eat.measured"], "{claims}");
    }
    for claims in [json!({"swname": "a"}), json!({"x-ms-attestation-type": "t"}), json!({"submods": {"a": {"ueid": "AQ"}}})] {
        assert_eq!(of_json(&claims), [""; 0], "{claims}");
    }
    let of_cbor = |claims: &[_]| refused(&Claims::of_cbor(&map(claims)).unwrap(), &p256());
    assert_eq!(of_cbor(&[]), ["eat.measured"]);
    assert_eq!(of_cbor(&[(int(6), int(1)), (int(10), bytes(&[1; 8]))]), ["eat.measured"]);
    assert_eq!(of_cbor(&[(int(256), bytes(&[1]))]), [""; 0]);
}
