#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::report::{Document, Kind, Report, Settings, Verdict, appraise};
use crate::x509::Roots;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
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

/// A log of both banks in which PCR 7 says whether Secure Boot is on: its digests are of `sha1`, and of `sha256`.
fn of_two_banks(data: &[u8], sha1: &[u8], sha256: &[u8]) -> Vec<u8> {
    let header = [b"Spec ID Event03\0", &[0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 4, 0, 20, 0, 0x0b, 0, 32, 0, 0][..]].concat();
    let mut out = [&[0, 0, 0, 0, 3, 0, 0, 0][..], &[0; 20], &u32::try_from(header.len()).unwrap().to_le_bytes(), &header].concat();
    out.extend([7, 0, 0, 0, 1, 0, 0, 0x80, 2, 0, 0, 0, 4, 0]);
    out.extend(digest(&SHA1_FOR_LEGACY_USE_ONLY, sha1).as_ref());
    out.extend([0x0b, 0]);
    out.extend(Sha256::digest(sha256));
    out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    out.extend(data);
    out
}

fn secure_boot_variable(on: u8) -> Vec<u8> {
    let guid = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c];
    let name = "SecureBoot".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    [&guid[..], &10_u64.to_le_bytes(), &1_u64.to_le_bytes(), &name, &[on]].concat()
}

fn failed(report: &Report) -> Vec<&str> {
    let failed = report.checks.iter().filter(|finding| finding.check.verdict == crate::check::Verdict::Fail);
    failed.map(|finding| finding.check.rule.name).collect()
}

#[test]
fn a_bank_that_no_value_proves() {
    let (on, off) = (secure_boot_variable(1), secure_boot_variable(0));
    let measured = digest(&SHA1_FOR_LEGACY_USE_ONLY, &off);
    let value = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&[0; 20][..], measured.as_ref()].concat());
    let pcrs = [("pcrs.json", format!(r#"{{"sha1": {{"7": "{}"}}}}"#, crate::hex::encode(value.as_ref())))];
    let report = verify(&of_two_banks(&off, &off, &off), &pcrs);
    assert_eq!((report.verdict, &report.claims["secure_boot"]["SecureBoot"]), (Verdict::Verified, &false.into()));
    assert_eq!(report.claims["data_held_against"], "sha1");
    for (data, sha256) in [(&on, &on), (&off, &on)] {
        let report = verify(&of_two_banks(data, &off, sha256), &pcrs);
        assert_eq!((report.verdict, failed(&report)), (Verdict::Rejected, vec!["log.banks_agree"]));
        assert_ne!(report.claims["secure_boot"].get("SecureBoot"), Some(&true.into()));
    }
}

#[test]
fn nothing_measured() {
    let bytes = log();
    let header = &bytes[..32 + usize::from(bytes[28])];
    let zeros = [("pcrs.json", format!(r#"{{"0": "{}"}}"#, "00".repeat(32)))];
    let report = verify(header, &zeros);
    assert_eq!((report.verdict, failed(&report)), (Verdict::Refused, vec!["log.measured"]));
}

#[test]
fn log_of_a_machine_that_ran_for_years() {
    let mut bytes = log();
    let last = [&[8, 0, 0, 0, 0x0d, 0, 0, 0, 1, 0, 0, 0, 0x0b, 0][..], &[7; 32], &[0; 4]].concat();
    bytes.extend(last.repeat(70_000));
    bytes.extend(
        [&[8, 0, 0, 0, 0x0d, 0, 0, 0, 1, 0, 0, 0, 0x0b, 0][..], &[7; 32], &(3_u32 << 20).to_le_bytes(), &vec![7; 3 << 20]].concat(),
    );
    let report = verify(&bytes, &[]);
    assert_eq!((report.verdict, &report.claims["events"]), (Verdict::Incomplete, &70_004.into()));
}
