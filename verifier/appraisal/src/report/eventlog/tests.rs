#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::report::{Document, Kind, Report, Settings, Verdict, appraise};
use crate::x509::Roots;
use sha2::{Digest as _, Sha256};

/// A crypto-agile log, SHA-256 only, of these measurements into PCR 4 and PCR 8.
fn log() -> Vec<u8> {
    let header = [b"Spec ID Event03\0", &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0b, 0, 32, 0, 0][..]].concat();
    let mut out = [&[0, 0, 0, 0, 3, 0, 0, 0][..], &[0; 20], &u32::try_from(header.len()).unwrap().to_le_bytes(), &header].concat();
    for (pcr, data) in [(4_u8, &b"shim"[..]), (8, b"linux /vmlinuz")] {
        out.extend([pcr, 0, 0, 0, 0x0d, 0, 0, 0, 1, 0, 0, 0, 0x0b, 0]);
        out.extend(Sha256::digest(data));
        out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        out.extend(data);
    }
    out
}

fn extended(data: &[u8]) -> String {
    let value = Sha256::digest([&[0; 32][..], &Sha256::digest(data)].concat());
    value.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verify(log: &[u8], pcrs: &[(&str, String)]) -> Report {
    let mut documents = vec![Document { name: "eventlog.bin", bytes: log }];
    documents.extend(pcrs.iter().map(|(name, text)| Document { name, bytes: text.as_bytes() }));
    appraise(&documents, &Settings { now: 0, nonce: None, roots: &Roots::shipped() })
}

fn missing(report: &Report) -> Vec<&str> {
    report.missing.iter().map(|missing| missing.part).collect()
}

#[test]
fn verified_by_the_values_of_every_register_that_it_extends() {
    let (four, eight) = (extended(b"shim"), extended(b"linux /vmlinuz"));
    let both = format!(r#"{{"sha256": {{"4": "{four}", "8": "{eight}"}}}}"#);
    let report = verify(&log(), &[("pcrs.json", both.clone())]);
    assert_eq!((report.verdict, report.kind), (Verdict::Verified, Some(Kind::TcgEventLog)));
    assert_eq!(report.anchors, ["as given: pcrs.json"]);
    let one = |index: u8, value: &str| format!(r#"{{"{index}": "{value}"}}"#);
    let halves = [("pcrs-a.json", one(4, &four)), ("pcrs-b.json", one(8, &eight))];
    assert_eq!(verify(&log(), &halves).verdict, Verdict::Verified, "in two files");
    for (what, pcrs) in [("none", &[][..]), ("PCR 4 only", &halves[..1]), ("no closed register", &[("pcrs.json", one(10, &four))])] {
        let report = verify(&log(), pcrs);
        assert_eq!((report.verdict, missing(&report)), (Verdict::Incomplete, vec!["pcrs"]), "{what}");
        assert_eq!(report.claims["replayed_pcrs"]["sha256"]["4"], four, "{what}");
    }
    for pcrs in [one(4, &eight), one(0, &four), both.replace(&eight, &four)] {
        assert_eq!(verify(&log(), &[("pcrs.json", pcrs)]).verdict, Verdict::Rejected);
    }
}

#[test]
fn a_value_of_another_bank_compares_nothing() {
    let report = verify(&log(), &[("pcrs.json", format!(r#"{{"sha1": {{"4": "{}"}}}}"#, "00".repeat(20)))]);
    assert_eq!((report.verdict, missing(&report)), (Verdict::Incomplete, vec!["pcrs"]));
    assert!(report.anchors.is_empty());
}

#[test]
fn cut_off_log() {
    let bytes = log();
    assert_eq!(verify(&bytes[..bytes.len() - 1], &[]).verdict, Verdict::Malformed);
}
