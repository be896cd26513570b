use crate::report::{Document, Report, Settings, Verdict, appraise};
use crate::x509::Roots;

fn verify(name: &str, bytes: &[u8]) -> Report {
    appraise(&[Document { name, bytes }], &Settings { now: 0, nonce: None, roots: &Roots::default() })
}

#[test]
fn claims_that_nobody_signed() {
    let open = verify("file", br#"{"eat_nonce": "lI-IYNE6Rj6O", "swname": "a"}"#);
    assert_eq!((open.verdict, open.missing.len()), (Verdict::Incomplete, 1));
    assert_eq!(open.claims.get("top_level").and_then(|claims| claims.get("swname")), Some(&"a".into()));
    // No signature would mend these, so none is missing.
    let forbidden = verify("file", br#"{"eat_nonce": "", "swname": "a"}"#);
    assert_eq!((forbidden.verdict, forbidden.missing.len()), (Verdict::Refused, 0));
    assert_eq!(verify("claims.json", br#"{"swname": "a"}"#).verdict, Verdict::Incomplete);
    assert_eq!(verify("claims.json", br#"{"swname": "a", "swname": "b"}"#).verdict, Verdict::Malformed);
}

#[test]
fn token_without_a_key() {
    // {"alg":"ES256"}, {}, and as many bytes as a signature has.
    let token = format!("eyJhbGciOiJFUzI1NiJ9.e30.{}", "A".repeat(86));
    let report = verify("file", token.as_bytes());
    assert_eq!((report.verdict, report.missing.first().map(|missing| missing.part)), (Verdict::Incomplete, Some("key")));
    // {"alg":"none"}: no key would mend it.
    assert_eq!(verify("file", b"eyJhbGciOiJub25lIn0.e30.").verdict, Verdict::Rejected);
}
