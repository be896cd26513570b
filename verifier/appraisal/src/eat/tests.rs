//! Each rule of tokens: the honest twin passes, the attack fails at that rule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod malformed;
mod mint;
mod policy;
mod psa;

use super::{Key, Token, appraise_token};
use crate::cose::tests::{array, bytes, int, map, text};
use crate::tpm::tests::appraise;
use aws_lc_rs::hmac;
use mint::{Signer, cwt, jwk, jwt, jwt_with, p256, signers, spki};
use serde_json::json;

/// The rules that failed; it holds only where none did.
fn run(token: &Token, key: &Key, nonce: Option<&[u8]>) -> Vec<&'static str> {
    let (holds, failed) = appraise(&[], |checks| Some(appraise_token(token, Some(key), nonce, checks)));
    assert_eq!(holds, Some(failed.is_empty()));
    failed
}

fn failed(token: &str, key: &Key) -> Vec<&'static str> {
    run(&Token::of_jwt(token.as_bytes()).unwrap(), key, None)
}

#[test]
fn honest_tokens_by_every_algorithm() {
    for signer in signers() {
        let (public, claims) = (jwk(&signer), json!({"swname": "a"}));
        let token = jwt(&signer, &claims);
        assert_eq!(failed(&token, &public), [""; 0], "{}", signer.name);
        assert_eq!(failed(&token, &spki(&signer)), [""; 0], "{}", signer.name);
        let token = cwt(&signer, &map(&[(int(256), bytes(&[1; 33])), (text("name"), int(-7))]));
        let token = Token::of_cwt(&token).unwrap();
        assert_eq!(run(&token, &public, None), [""; 0], "{}", signer.name);
        assert_eq!(token.claims().members()["256"], format!("h{}", "01".repeat(33)));
        assert_eq!(token.claims().members()["name"], -7);
    }
}

#[test]
fn tags_of_a_cwt() {
    let signer = p256();
    let token = cwt(&signer, &map(&[(int(1), text("issuer"))]));
    for prefix in [&[][..], &[0xd2], &[0xd8, 0x3d, 0xd2]] {
        let tagged = [prefix, &token[..]].concat();
        assert_eq!(run(&Token::of_cwt(&tagged).unwrap(), &jwk(&signer), None), [""; 0]);
    }
    assert!(Token::of_cwt(&[&[0xd8, 0x3d], &token[..]].concat()).is_err());
}

#[test]
fn key_in_the_header_plays_no_part() {
    let (signer, other) = (p256(), p256());
    let header = |signer: &Signer| json!({"alg": "ES256", "jwk": signer.jwk});
    assert_eq!(failed(&jwt_with(&header(&signer), &signer, &json!({"a": 1})), &jwk(&signer)), [""; 0]);
    assert_eq!(failed(&jwt_with(&header(&other), &signer, &json!({"a": 1})), &jwk(&signer)), [""; 0]);
    assert_eq!(failed(&jwt_with(&header(&other), &other, &json!({"a": 1})), &jwk(&signer)), ["eat.signature"]);
}

#[test]
fn algorithm_none_and_shared_secrets() {
    let signer = p256();
    for name in ["none", "None", "nOnE", "", "ES512", "es256", "RS256"] {
        assert_eq!(failed(&jwt_with(&json!({"alg": name}), &signer, &json!({"a": 1})), &jwk(&signer)), ["eat.algorithm"], "{name}");
    }
    assert_eq!(failed(&jwt_with(&json!({"typ": "JWT"}), &signer, &json!({"a": 1})), &jwk(&signer)), ["eat.algorithm"]);
    // The public key, taken for the secret of an HMAC.
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &signer.spki);
    let hs256 = Signer { name: "HS256", sign: Box::new(move |signed| hmac::sign(&secret, signed).as_ref().to_vec()), ..p256() };
    assert_eq!(failed(&jwt(&hs256, &json!({"a": 1})), &jwk(&signer)), ["eat.algorithm"]);
    let hs256 = array(&[bytes(&map(&[(int(1), int(5))])), map(&[]), bytes(&map(&[])), bytes(&[0; 32])]);
    assert_eq!(run(&Token::of_cwt(&hs256).unwrap(), &jwk(&signer), None), ["eat.algorithm"]);
}

#[test]
fn algorithm_of_another_key() {
    for signer in signers() {
        for other in signers().iter().filter(|other| other.jwk["kty"] != signer.jwk["kty"] || other.jwk["crv"] != signer.jwk["crv"]) {
            assert_eq!(failed(&jwt(&signer, &json!({"a": 1})), &jwk(other)), ["eat.algorithm"], "{} {}", signer.name, other.name);
        }
    }
}

#[test]
fn key_that_is_for_something_else() {
    let signer = p256();
    let token = jwt(&signer, &json!({"a": 1}));
    for (member, value, fails) in [("alg", "ES384", true), ("alg", "ES256", false), ("use", "enc", true), ("use", "sig", false)] {
        let mut public = signer.jwk.clone();
        public[member] = value.into();
        let wanted: &[&str] = if fails { &["eat.algorithm"] } else { &[] };
        assert_eq!(failed(&token, &Key::of_jwk(public.to_string().as_bytes()).unwrap()), wanted, "{member} {value}");
    }
}

#[test]
fn key_that_is_for_other_operations() {
    let signer = p256();
    for (operations, fails) in
        [(json!(["verify"]), false), (json!(["encrypt"]), true), (json!(["sign", "verify"]), false), (json!([]), true)]
    {
        let mut public = signer.jwk.clone();
        public["key_ops"] = operations.clone();
        let wanted: &[&str] = if fails { &["eat.algorithm"] } else { &[] };
        let key = Key::of_jwk(public.to_string().as_bytes()).unwrap();
        assert_eq!(failed(&jwt(&signer, &json!({"a": 1})), &key), wanted, "{operations}");
    }
}

#[test]
fn key_of_another_name() {
    let signer = p256();
    let mut public = signer.jwk.clone();
    public["kid"] = "mine".into();
    let named = Key::of_jwk(public.to_string().as_bytes()).unwrap();
    let token = |id: &str| jwt_with(&json!({"alg": "ES256", "kid": id}), &signer, &json!({"a": 1}));
    assert_eq!(failed(&token("mine"), &named), [""; 0]);
    assert_eq!(failed(&token("other"), &named), ["eat.key_id"]);
    assert_eq!(failed(&token("other"), &jwk(&signer)), [""; 0]);
    assert_eq!(failed(&jwt(&signer, &json!({"a": 1})), &named), [""; 0]);
    let token = |id: &[u8]| mint::cwt_with(&map(&[(int(1), int(-7)), (int(4), bytes(id))]), &map(&[]), &signer, &map(&[]));
    assert_eq!(run(&Token::of_cwt(&token(b"mine")).unwrap(), &named, None), [""; 0]);
    assert_eq!(run(&Token::of_cwt(&token(b"other")).unwrap(), &named, None), ["eat.key_id"]);
}

#[test]
fn another_key_or_other_bytes() {
    for signer in signers() {
        let token = jwt(&signer, &json!({"a": 1}));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = signed.replacen(&signed[signed.len() - 4..], "IjJ9", 1);
        for wrong in [format!("{other}.{signature}"), format!("{signed}.AAAA"), format!("{signed}.")] {
            if let Ok(token) = Token::of_jwt(wrong.as_bytes()) {
                assert_eq!(run(&token, &jwk(&signer), None), ["eat.signature"], "{}", signer.name);
            }
        }
        let mut flipped = cwt(&signer, &map(&[(int(256), bytes(&[1; 33]))]));
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(run(&Token::of_cwt(&flipped).unwrap(), &jwk(&signer), None), ["eat.signature"]);
    }
    assert_eq!(failed(&jwt(&p256(), &json!({"a": 1})), &jwk(&p256())), ["eat.signature"]);
}

#[test]
fn critical_extensions_are_not_understood() {
    let signer = p256();
    for critical in [json!(["b64"]), json!([]), json!(null)] {
        let header = json!({"alg": "ES256", "b64": false, "crit": critical});
        assert_eq!(failed(&jwt_with(&header, &signer, &json!({"a": 1})), &jwk(&signer)), ["eat.critical"], "{critical}");
    }
    let protected = map(&[(int(1), int(-7)), (int(2), array(&[int(4)])), (int(4), bytes(b"key"))]);
    let token = mint::cwt_with(&protected, &map(&[]), &signer, &map(&[]));
    assert_eq!(run(&Token::of_cwt(&token).unwrap(), &jwk(&signer), None), ["eat.critical"]);
    let unprotected = map(&[(int(2), array(&[int(4)]))]);
    let token = mint::cwt_with(&map(&[(int(1), int(-7))]), &unprotected, &signer, &map(&[]));
    assert_eq!(run(&Token::of_cwt(&token).unwrap(), &jwk(&signer), None), ["eat.critical"]);
}

#[test]
fn report_data_differs() {
    let (signer, nonce) = (p256(), Some(&b"\x01\x02\x03\x04\x05\x06\x07\x08"[..]));
    let run_json = |claims| run(&Token::of_jwt(jwt(&signer, &claims).as_bytes()).unwrap(), &jwk(&signer), nonce);
    for claims in [json!({"eat_nonce": "AQIDBAUGBwg"}), json!({"eat_nonce": ["b3RoZXIgbm9uY2U", "AQIDBAUGBwg"]})] {
        assert_eq!(run_json(claims), [""; 0]);
    }
    for claims in [json!({"eat_nonce": "AQIDBAUGBwk"}), json!({"a": "AQIDBAUGBwg"}), json!({"eat_nonce": []}), json!({"eat_nonce": 1})] {
        assert_eq!(run_json(claims), ["eat.nonce"]);
    }
    for (key, value, wanted) in [(10, &[1, 2, 3, 4, 5, 6, 7, 8][..], &[][..]), (10, &[1], &["eat.nonce"]), (11, &[1], &["eat.nonce"])] {
        let token = Token::of_cwt(&cwt(&signer, &map(&[(int(key), bytes(value))]))).unwrap();
        assert_eq!(run(&token, &jwk(&signer), nonce), wanted);
    }
}

#[test]
fn without_a_key_nothing_holds() {
    let run = |token: &str| appraise(&[], |checks| Some(appraise_token(&Token::of_jwt(token.as_bytes()).unwrap(), None, None, checks)));
    assert_eq!(run(&jwt(&p256(), &json!({"a": 1}))), (Some(false), vec![]));
    assert_eq!(run(&jwt_with(&json!({"alg": "none"}), &p256(), &json!({"a": 1}))), (Some(false), vec!["eat.algorithm"]));
}
