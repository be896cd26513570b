use super::mint::{base64url, p256};
use super::policy::{of_json, refused};
use crate::cose::tests::{array, bytes, int, map, text};
use crate::eat::Claims;
use serde_json::{Value, json};

fn later() -> Value {
    let hash = base64url(&[7; 32]);
    json!({
        "eat-profile": "http://arm.com/psa/2.0.0",
        "psa-client-id": 1,
        "psa-security-lifecycle": 0x3000,
        "psa-implementation-id": hash,
        "psa-software-components": [{"measurement-value": hash, "signer-id": hash}],
        "psa-nonce": hash,
        "psa-instance-id": base64url(&[1; 33]),
    })
}

fn first() -> Value {
    let mut claims = later();
    let members = claims.as_object_mut().unwrap();
    members.remove("eat-profile");
    members.insert("psa-profile".to_owned(), "PSA_IOT_PROFILE_1".into());
    members.insert("psa-boot-seed".to_owned(), base64url(&[7; 32]).into());
    claims
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn psa_tokens_of_both_profiles() {
    assert_eq!(of_json(&later()), [""; 0]);
    assert_eq!(of_json(&first()), [""; 0]);
    assert_eq!(of_json(&without(first(), "psa-profile")), [""; 0]);
    assert_eq!(of_json(&with(later(), "psa-boot-seed", base64url(&[1; 8]).into())), [""; 0]);
    assert_eq!(of_json(&with(later(), "psa-certification-reference", "1234567890123-12345".into())), [""; 0]);
}

#[test]
fn psa_token_without_what_its_profile_demands() {
    let names =
        ["psa-client-id", "psa-security-lifecycle", "psa-implementation-id", "psa-software-components", "psa-nonce", "psa-instance-id"];
    for name in names {
        assert_eq!(of_json(&without(later(), name)), ["eat.profile"], "{name}");
        assert_eq!(of_json(&without(first(), name)), ["eat.profile"], "{name}");
    }
    assert_eq!(of_json(&without(first(), "psa-boot-seed")), ["eat.profile"]);
}

#[test]
fn psa_claims_of_another_form() {
    let (hash, short) = (base64url(&[7; 32]), base64url(&[7; 31]));
    for (name, wrong) in [
        ("eat-profile", json!("http://UNKNOWN")),
        ("psa-profile", json!("PSA_IOT_PROFILE_2")),
        ("psa-client-id", json!("1")),
        ("psa-client-id", json!(4_294_967_296_i64)),
        ("psa-implementation-id", json!(short)),
        ("psa-boot-seed", json!(base64url(&[7; 33]))),
        ("psa-boot-seed", json!(base64url(&[7; 7]))),
        ("psa-nonce", json!(short)),
        ("psa-instance-id", json!(base64url(&[2; 33]))),
        ("psa-instance-id", json!(base64url(&[1; 32]))),
        ("psa-certification-reference", json!("1234567890123-1234")),
        ("psa-hwver", json!("123456789012")),
        ("psa-verification-service-indicator", json!("")),
        ("psa-software-components", json!([])),
        ("psa-software-components", json!([{"measurement-value": hash}])),
        ("psa-software-components", json!([{"measurement-value": short, "signer-id": hash}])),
        ("psa-software-components", json!([{"measurement-value": hash, "signer-id": "!"}])),
    ] {
        assert_eq!(of_json(&with(later(), name, wrong.clone())), ["eat.profile"], "{name} {wrong}");
    }
    for state in [0xffff, 0x7000, 0x3100] {
        assert!(of_json(&with(later(), "psa-security-lifecycle", state.into())).contains(&"eat.profile"), "{state:x}");
    }
}

#[test]
fn psa_device_that_is_not_secured() {
    for state in [0, 0x1000, 0x2000, 0x4001, 0x5000, 0x60ff] {
        assert_eq!(of_json(&with(later(), "psa-security-lifecycle", state.into())), ["eat.debug"], "{state:x}");
    }
    assert_eq!(of_json(&with(later(), "psa-security-lifecycle", 0x30ff.into())), [""; 0]);
}

#[test]
fn psa_device_that_measures_nothing() {
    let none = with(without(first(), "psa-software-components"), "psa-no-software-measurements", 1.into());
    assert_eq!(of_json(&none), ["eat.measured"]);
    assert!(of_json(&with(first(), "psa-no-software-measurements", 1.into())).contains(&"eat.profile"));
}

#[test]
fn psa_token_in_cbor() {
    let of = |nonce: &[u8]| {
        let component = map(&[(int(2), bytes(&[1; 32])), (int(5), bytes(&[1; 32]))]);
        let claims = [
            (int(265), text("tag:psacertified.org,2023:psa#tfm")),
            (int(2394), int(-1)),
            (int(2395), int(0x3000)),
            (int(2396), bytes(&[1; 32])),
            (int(2399), array(&[component])),
            (int(10), bytes(nonce)),
            (int(256), bytes(&[1; 33])),
        ];
        refused(&Claims::of_cbor(&map(&claims)).unwrap(), &p256())
    };
    assert_eq!(of(&[1; 48]), [""; 0]);
    assert_eq!(of(&[1; 47]), ["eat.profile"]);
}
