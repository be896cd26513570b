use super::mint::{base64url, cwt, jwt, jwt_of, p256};
use crate::cose::tests::{array, bytes, int, map, text};
use crate::eat::{Claims, Key, LONGEST, Token};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn tokens_of_another_form() {
    let signer = p256();
    let honest = jwt(&signer, &json!({"a": 1}));
    assert!(Token::of_jwt(honest.as_bytes()).is_ok());
    let header = r#"{"alg":"ES256"}"#;
    for (what, wrong) in [
        ("trailing part", format!("{honest}.trailing-rubbish")),
        ("leading dot", format!(".{honest}")),
        ("padding", format!("{honest}=")),
        ("blank", format!("{honest} ")),
        ("two parts", honest.rsplit_once('.').unwrap().0.to_owned()),
        ("header twice", jwt_of(r#"{"alg":"none","alg":"ES256"}"#, &signer, "{}")),
        ("header that looks like alg", jwt_of(r#"{"alg":"ES256","Alg":"none"}"#, &signer, "{}")),
        ("header of no object", jwt_of("[]", &signer, "{}")),
        ("claim twice", jwt_of(header, &signer, r#"{"a":1,"a":2}"#)),
        ("claim twice, deeper", jwt_of(header, &signer, r#"{"a":[{"b":1,"b":1}]}"#)),
        ("claims of no object", jwt_of(header, &signer, "[]")),
        ("claims with more behind", jwt_of(header, &signer, "{} {}")),
        ("too many values", jwt_of(header, &signer, &format!(r#"{{"a":[0{}]}}"#, ",{}".repeat(1024)))),
        ("too long", jwt_of(header, &signer, &format!(r#"{{"a":"{}"}}"#, "a".repeat(LONGEST)))),
    ] {
        assert!(Token::of_jwt(wrong.as_bytes()).is_err(), "{what}");
    }
}

#[test]
fn cbor_tokens_of_another_form() {
    let signer = p256();
    assert!(Token::of_cwt(&cwt(&signer, &map(&[(int(1), int(1))]))).is_ok());
    for (what, wrong) in [
        ("claim twice", map(&[(int(1), int(1)), (int(1), int(2))])),
        ("a number and its text", map(&[(int(1), int(1)), (text("1"), int(2))])),
        ("claim twice, deeper", map(&[(int(1), array(&[map(&[(int(1), int(1)), (int(1), int(1))])]))])),
        ("key of another type", map(&[(array(&[]), int(1))])),
        ("no map", array(&[])),
        ("trailing", [map(&[]), vec![0]].concat()),
    ] {
        assert!(Token::of_cwt(&cwt(&signer, &wrong)).is_err(), "{what}");
    }
    let trailing = [cwt(&signer, &map(&[])), vec![0]].concat();
    assert!(Token::of_cwt(&trailing).is_err());
}

/// In CBOR registered claims go by numbers and in JSON by words: nothing else may stand in for one.
#[test]
fn claims_by_the_name_of_the_other_encoding() {
    let inner = |members: &[_]| map(&[(int(266), map(&[(text("a"), map(members))]))]);
    assert!(Claims::of_cbor(&inner(&[(int(1000), int(2)), (text("status"), int(2))])).is_ok());
    for (what, wrong) in [
        ("status", inner(&[(text("ear.status"), int(2)), (int(1000), int(96))])),
        ("status alone", inner(&[(text("ear.status"), int(2))])),
        ("vector", inner(&[(int(1000), int(2)), (text("ear.trustworthiness-vector"), map(&[])), (int(1001), map(&[(int(0), int(97))]))])),
        ("debug", map(&[(text("dbgstat"), int(4)), (int(263), int(0))])),
        ("submodules", map(&[(text("submods"), map(&[]))])),
        ("a number in text", map(&[(text("265"), int(1))])),
        ("one that nobody registered", map(&[(int(8), map(&[(text("-2"), int(1))]))])),
        ("two forms of one claim", map(&[(int(2395), int(0x3000)), (int(-75002), int(0))])),
    ] {
        assert!(Claims::of_cbor(&wrong).is_err(), "{what}");
    }
    for wrong in [
        json!({"submods": {"a": {"ear.status": "affirming", "1000": 96}}}),
        json!({"submods": {"a": {"submods": {"b": {"1000": 2}}}}}),
        json!({"263": 4}),
        json!({"6": 1}),
        json!({"eat_profile": "a", "eat-profile": "b"}),
    ] {
        assert!(Claims::of_json(wrong.to_string().as_bytes()).is_err(), "{wrong}");
    }
    assert!(Claims::of_json(br#"{"pcrs":{"0":"a","7":"b"},"99999":1}"#).is_ok());
}

#[test]
fn claims_that_are_told() {
    let item = map(&[
        (int(-1), bytes(&[0xab])),
        (text("t"), array(&[vec![0xf5], vec![0xf6], text("x"), vec![0xc1, 0x05], vec![0xf9, 0x3c, 0x00]])),
        (bytes(&[1]), vec![0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ]);
    let claims = Claims::of_cbor(&item).unwrap();
    let wanted = json!({"-1": "hab", "t": [true, null, "x", 5, 1.0], "h01": "-18446744073709551616"});
    assert_eq!(serde_json::Value::Object(claims.members().clone()), wanted);
}

#[test]
fn keys_that_are_none() {
    let jwk = p256().jwk;
    for (member, value) in [("kty", "oct"), ("crv", "P-384"), ("crv", "secp256k1"), ("x", "AQ"), ("y", "+/"), ("kty", "RSA")] {
        let mut wrong = jwk.clone();
        wrong[member] = value.into();
        assert!(Key::of_jwk(wrong.to_string().as_bytes()).is_err(), "{member} {value}");
    }
    let mut off = jwk.clone();
    off["y"] = base64url(&[1; 32]).into();
    assert!(Key::of_jwk(off.to_string().as_bytes()).is_err(), "off the curve");
    let twice = jwk.to_string().replacen('{', r#"{"kty":"RSA","#, 1);
    assert!(Key::of_jwk(twice.as_bytes()).is_err(), "member twice");
    let spki = p256().spki;
    for wrong in [&spki[1..], &spki[..spki.len() - 1], &[&spki[..], &[0]].concat(), &[]] {
        assert!(Key::of_spki(wrong).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(noise in proptest::collection::vec(any::<u8>(), 0..200), header in "\\PC{0,60}", claims in "\\PC{0,200}") {
        let _ = Token::of_jwt(&noise);
        let _ = Token::of_cwt(&noise);
        let _ = Key::of_jwk(&noise);
        let _ = Key::of_spki(&noise);
        let signer = p256();
        let _ = Token::of_jwt(jwt_of(&header, &signer, &claims).as_bytes());
        let _ = Token::of_cwt(&cwt(&signer, &noise));
    }
}
