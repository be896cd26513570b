//! What every kind has in common, and the kinds whose rooms are here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub(crate) mod azure;
mod ek;
mod quote;

use super::{Document, Report, Settings, Verdict, appraise};
use crate::check;
use crate::snp::tests::forge::{certificates, chips, report, roots};
use crate::x509::Roots;

/// 2026-01-01, when everything that is made here is valid.
pub(super) const NOW: u64 = 1_767_225_600;

pub(super) fn verify(files: &[(&str, &[u8])], nonce: Option<&[u8]>, roots: &Roots) -> Report {
    let documents = files.iter().map(|(name, bytes)| Document { name, bytes }).collect::<Vec<_>>();
    appraise(&documents, &Settings { now: NOW, nonce, roots })
}

/// Verdict and the checks that failed.
pub(super) fn outcome(report: &Report) -> (Verdict, Vec<&'static str>) {
    let failed = report.checks.iter().filter(|finding| finding.check.verdict == check::Verdict::Fail);
    (report.verdict, failed.map(|finding| finding.check.rule.name).collect())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn two_reports_are_not_one() {
    let (one, other, chain) = (report(&chips()[0], &[]), report(&chips()[0], &[(0x90, &[1])]), certificates());
    let beside: [(&str, &[u8]); 3] = [("a", &chain[0]), ("b", &chain[1]), ("c", &chain[2])];
    let with = |files: &[(&str, &[u8])]| outcome(&verify(&[&beside[..], files].concat(), None, &roots()));
    assert_eq!(with(&[("1", &one), ("2", &one)]), (Verdict::Verified, vec![]));
    assert_eq!(with(&[("1", &one), ("2", &other)]), (Verdict::Rejected, vec!["report.one_of_each"]));
}

#[test]
fn evidence_of_two_kinds_is_not_one() {
    let (one, chain) = (report(&chips()[0], &[]), certificates());
    let files: [(&str, &[u8]); 4] = [("r", &one), ("a", &chain[0]), ("b", &chain[1]), ("c", &chain[2])];
    assert_eq!(outcome(&verify(&files, None, &roots())), (Verdict::Verified, vec![]));
    let log = [&[0; 4][..], &[1, 0, 0, 0], &[7; 20], &[0; 4]].concat();
    let both = [&files[..], &[("log", &log)]].concat();
    assert_eq!(outcome(&verify(&both, None, &roots())), (Verdict::Rejected, vec!["report.one_kind"]));
}

#[test]
fn nothing_is_no_evidence() {
    let none = Roots::default();
    assert_eq!(verify(&[], None, &none).verdict, Verdict::Incomplete);
    assert_eq!(verify(&[("x", b"text")], None, &none).verdict, Verdict::Malformed);
    assert_eq!(verify(&[("quote.bin", b"text")], None, &none).verdict, Verdict::Malformed);
    let (one, chain) = (report(&chips()[0], &[]), certificates());
    let beside: [(&str, &[u8]); 5] = [("r", &one), ("a", &chain[0]), ("b", &chain[1]), ("c", &chain[2]), ("notes.txt", b"text")];
    let report = verify(&beside, None, &roots());
    assert_eq!((report.verdict, report.ignored), (Verdict::Verified, vec!["notes.txt".to_owned()]));
}

#[test]
fn more_certificates_than_a_path_has() {
    let (report, chain) = (report(&chips()[0], &[]), certificates());
    let strangers = (0..16).map(|_| {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec()
    });
    let all = chain.iter().map(|der| der.to_vec()).chain(strangers).collect::<Vec<_>>();
    let with = |most: usize| {
        let files = all.iter().take(most).map(|der| ("c.der", der.as_slice())).chain([("r", &report[..])]).collect::<Vec<_>>();
        verify(&files, None, &roots()).malformed.iter().map(|one| one.file.clone()).collect::<Vec<_>>()
    };
    assert_eq!(with(18), [""; 0]);
    assert_eq!(with(19), ["certificates"]);
}
