//! A report's files, made here, to a verdict.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::report::{Document, Report, Settings, Verdict, appraise};
use crate::snp::tests::forge::{NOW, TCB, ark, ask, authorities, certificates, chips, crl, report, roots, vcek};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn verify(files: &[(&str, &[u8])], nonce: Option<&[u8]>) -> Report {
    let documents = files.iter().map(|(name, bytes)| Document { name, bytes }).collect::<Vec<_>>();
    appraise(&documents, &Settings { now: NOW, nonce, roots: &roots() })
}

/// The verdict on an honest report with its certificates, and with these files.
fn with(fields: &[(usize, &[u8])], more: &[(&str, &[u8])], nonce: Option<&[u8]>) -> Report {
    let (report, certificates) = (report(&chips()[0], fields), certificates());
    let honest: [(&str, &[u8]); 4] = [("r", &report), ("a", &certificates[0]), ("b", &certificates[1]), ("c", &certificates[2])];
    verify(&[&honest[..], more].concat(), nonce)
}

/// The one check that did not pass.
fn obstacle(report: &Report) -> Vec<&'static str> {
    let failed = report.checks.iter().filter(|finding| finding.check.verdict != crate::check::Verdict::Pass);
    failed.map(|finding| finding.check.rule.name).collect()
}

#[test]
fn honest_report_is_verified() {
    let report = with(&[], &[], Some(&[0xda; 64]));
    assert_eq!((report.verdict, &report.anchors[..]), (Verdict::Verified, &["test ARK (test)".to_owned()][..]));
    assert_eq!(report.claims["vek_cert"]["not_after"], "2031-01-01T00:00:00Z");
    assert_eq!(report.claims["tcb"]["reported"]["microcode"], 219);
}

#[test]
fn nonce_is_the_report_data() {
    assert_eq!(obstacle(&with(&[], &[], Some(&[0xdb; 64]))), ["snp.report_data"]);
    assert_eq!(with(&[], &[], Some(&[0xda; 65])).verdict, Verdict::Rejected);
    let short: &[(usize, &[u8])] = &[(0x50, &[0; 64]), (0x50, b"nonce")];
    assert_eq!(with(short, &[], Some(b"nonce")).verdict, Verdict::Verified);
    assert_eq!(with(short, &[("nonce.hex", b"6e6f6e6365")], None).verdict, Verdict::Verified);
    assert_eq!(with(short, &[("nonce.hex", b"6e6f6e6364")], None).verdict, Verdict::Rejected);
}

#[test]
fn policy_refuses_what_is_authentic() {
    let debug = with(&[(0x08, &[0, 0, 0x0b])], &[], None);
    assert_eq!((debug.verdict, obstacle(&debug)), (Verdict::Refused, vec!["snp.debug"]));
}

#[test]
fn what_is_missing_is_named() {
    let alone = verify(&[("r", &report(&chips()[0], &[]))], None);
    assert_eq!((alone.verdict, alone.missing[0].part), (Verdict::Incomplete, "vcek"));
    let certificates = certificates();
    let less = verify(&[("r", &report(&chips()[0], &[])), ("a", &certificates[0])], None);
    assert_eq!((less.verdict, less.missing[0].part), (Verdict::Incomplete, "ask"));
}

#[test]
fn two_reports_or_another_chips_certificate() {
    let other = report(&chips()[0], &[(4, &[8])]);
    assert_eq!(with(&[], &[("other", &other)], None).verdict, Verdict::Rejected);
    let same = report(&chips()[0], &[]);
    let certificates = certificates();
    assert_eq!(verify(&[("r", &same), ("again", &same), ("a", &certificates[0])], None).verdict, Verdict::Incomplete);
    let stranger = vcek(&chips()[1], "Milan-B0", &[0xc2; 64], TCB).issue(&authorities().ask);
    assert_eq!(obstacle(&with(&[], &[("x", &stranger)], None)), ["snp.certificates"]);
}

#[test]
fn list_beside_the_certificates() {
    let list = |until| crl(&authorities().ark, "ARK-Milan", Some(1), until, &[]);
    assert_eq!(with(&[], &[("l", &list("260201000000Z"))], None).verdict, Verdict::Verified);
    let stale = with(&[], &[("l", &list("251201000000Z"))], None);
    assert_eq!((stale.verdict, obstacle(&stale)), (Verdict::Rejected, vec!["snp.crl", "snp.crl_number", "snp.revoked"]));
}

#[test]
fn table_of_the_host_has_the_certificates() {
    const GUIDS: [u128; 3] =
        [0x63da_758d_e664_4564_adc5_f4b9_3be8_accd, 0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782, 0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae];
    let pem = |der: &[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der)).into_bytes();
    let extended = |certificates: &[Vec<u8>]| {
        let (mut head, mut data) = (Vec::new(), Vec::new());
        for (guid, bytes) in GUIDS.iter().zip(certificates) {
            head.extend(guid.to_be_bytes());
            head.extend(u32::try_from(96 + data.len()).unwrap().to_le_bytes());
            head.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            data.extend(bytes);
        }
        [&report(&chips()[0], &[])[..], &head, &[0; 24], &data, &[0; 100]].concat()
    };
    assert_eq!(verify(&[("e", &extended(&certificates()))], None).verdict, Verdict::Verified);
    let armoured = certificates().iter().map(|der| pem(der)).collect::<Vec<_>>();
    assert_eq!(verify(&[("e", &extended(&armoured))], None).verdict, Verdict::Verified);
    assert_eq!(verify(&[("e", &extended(&[certificates()[0].clone(), vec![1, 2, 3], vec![4]]))], None).verdict, Verdict::Malformed);
    let forged = [certificates()[0].clone(), ask().issue(&authorities().other), ark().issue(&authorities().ark)];
    assert_eq!(verify(&[("e", &extended(&forged))], None).verdict, Verdict::Rejected);
}
