//! `review`, where there is no pod to speak of.

use serde_json::json;

use crate::injector::{Site, VERIFIER, run, text};

fn refused(input: &str) -> String {
    let output = run(&["review", "--verifier", VERIFIER], input.as_bytes());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    text(&output.stderr)
}

#[test]
fn what_is_no_review_is_no_answer() {
    assert!(refused("{").starts_with("podseal-injector: not an AdmissionReview: EOF"), "{}", refused("{"));
    let beta = json!({ "apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview" }).to_string();
    assert_eq!(
        refused(&beta),
        "podseal-injector: found admission.k8s.io/v1beta1 AdmissionReview, wanted admission.k8s.io/v1 AdmissionReview: list v1 in the \
         webhook's admissionReviewVersions\n"
    );
    let empty = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview" }).to_string();
    assert_eq!(refused(&empty), "podseal-injector: the AdmissionReview has no request: send one with a request\n");
}

#[test]
fn deep_nesting_ends_in_an_error() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let review = format!("{{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{{\"uid\":{deep}}}}}");
    assert!(refused(&review).contains("not an AdmissionReview"));
}

#[test]
fn review_wants_a_verifier() {
    assert_eq!(run(&["review"], b"").status.code(), Some(2));
    assert_eq!(run(&["review", "--verifier", "3f"], b"").status.code(), Some(2));
    let site = Site::new("");
    let request = include_str!("../fixtures/one-container/request.json");
    let by_config = run(&["review", "--config", site.config().to_str().expect("UTF-8")], request.as_bytes());
    let by_option = run(&["review", "--verifier", VERIFIER], request.as_bytes());
    assert!(by_config.status.success() && by_config.stdout == by_option.stdout, "{}", text(&by_config.stderr));
}
