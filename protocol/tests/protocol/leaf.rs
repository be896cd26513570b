//! What a leaf may say, and what the annotation may ask for.

use podseal_protocol::{
    Leaf, Limits, SecretRequest,
    cbor::{Encoder, Problem},
    leaf::{is_file_name, is_secret_name},
};

use crate::{
    cbor_walk::items,
    fixtures::{LIMITS, leaf},
};

fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let requests = SecretRequest::parse_annotation(text, &LIMITS).ok()?;
    Some(requests.into_iter().map(|r| (r.file, r.secret)).collect())
}

#[test]
fn secrets_come_from_the_annotation_in_its_order() {
    let pair = |file: &str, secret: &str| (file.to_owned(), secret.to_owned());
    let wanted = vec![pair("tls.pem", "payments/api-tls"), pair("db", "payments/db")];
    assert_eq!(parse(" tls.pem = payments/api-tls ,db=payments/db"), Some(wanted));
}

#[test]
fn annotation_cannot_widen_what_a_file_name_is() {
    let long = "n".repeat(256);
    let bad_files = ["", ".", "..", ".hidden", "a/b", "../up", "/etc/passwd", "a\\b", "a b", "a\0", "ä", "a\n", &long];
    for file in bad_files {
        assert!(!is_file_name(file), "{file:?}");
        let asking = Leaf { secrets: vec![SecretRequest { file: file.to_owned(), secret: "a/b".to_owned() }], ..leaf() };
        assert!(Leaf::decode(&asking.encode(), &LIMITS).is_err(), "{file:?}");
    }
    for file in ["a", "A.b_c-9", "-", &long[1..]] {
        assert!(is_file_name(file), "{file:?}");
    }
    for secret in ["", "a", "/", "a/", "/b", "a/b/c", "A/b", "a/b c", "a/ä", "a//b", "a/b\n", "a/b@2"] {
        assert!(!is_secret_name(secret, &LIMITS), "{secret:?}");
        let asking = Leaf { secrets: vec![SecretRequest { file: "f".to_owned(), secret: secret.to_owned() }], ..leaf() };
        let found = Leaf::decode(&asking.encode(), &LIMITS).map_err(|m| (m.item, m.problem));
        assert_eq!(found, Err(("leaf.secrets", Problem::WrongValue)), "{secret:?}");
    }
    assert!(is_secret_name("payments/db-1.a", &LIMITS));
    assert!(!is_secret_name("payments/db", &Limits { text: 10, ..LIMITS }));
}

#[test]
fn annotation_cannot_widen_by_its_form() {
    for text in ["", ",", "db", "db=", "=a/b", "db=a/b,", "db=a/b;x=c/d", "db=a/b,db=c/d", "db=a/b=c/d", "db=a/b x=c/d", ".db=a/b"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
    let three = "a=n/a,b=n/b,c=n/c";
    let most = |secrets| SecretRequest::parse_annotation(three, &Limits { secrets, ..LIMITS });
    assert!(most(3).is_ok());
    assert_eq!(most(2).unwrap_err().0, "c=n/c");
    let error = SecretRequest::parse_annotation("db=a/b, oops", &LIMITS).unwrap_err().to_string();
    assert_eq!(error, "annotation podseal.dev/secrets: found \"oops\", wanted FILE=NAMESPACE/NAME, separated by commas, each file once");
}

#[test]
fn noncanonical_leaf_key_off_the_curve() {
    let bytes = leaf().encode();
    let key = items(&bytes).into_iter().find(|item| item.content(&bytes) == leaf().workload_key.as_bytes()).unwrap();
    let point = leaf().workload_key.as_bytes().to_vec();
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let mut hybrid = point.clone();
    hybrid[0] = 6 | (point[64] & 1);
    for wrong in [off_curve, hybrid, vec![0; 65], [vec![4], vec![0xff; 64]].concat()] {
        let altered = key.replaced(&bytes, &Encoder::default().bytes(&wrong).finish());
        let found = Leaf::decode(&altered, &LIMITS).map_err(|m| (m.item, m.problem));
        assert_eq!(found, Err(("leaf.workload_key", Problem::WrongValue)));
    }
}
