#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::report::{Document, Kind, Report, Settings, Verdict, appraise};
use crate::tpm::PcrValues;
use crate::tpm::tests::forge;
use crate::x509::Roots;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// An `ima-ng` line of a file with this digest, and the data that its template digest is the hash of.
fn line(register: u8, digest_of_file: &[u8], name: &str) -> (String, Vec<u8>) {
    let counted = |bytes: Vec<u8>| [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], &bytes].concat();
    let data = [counted([b"sha256:\0", digest_of_file].concat()), counted([name.as_bytes(), &[0]].concat())].concat();
    let template = digest(&SHA1_FOR_LEGACY_USE_ONLY, &data);
    (format!("{register} {} ima-ng sha256:{} {name}\n", hex(template.as_ref()), hex(digest_of_file)), data)
}

fn verify(list: &str, pcrs: &str) -> Report {
    let mut documents = vec![Document { name: "a", bytes: list.as_bytes() }];
    if !pcrs.is_empty() {
        documents.push(Document { name: "pcrs.json", bytes: pcrs.as_bytes() });
    }
    let report = appraise(&documents, &Settings { now: 0, nonce: None, roots: &Roots::shipped() });
    assert_eq!(report.kind, Some(Kind::Ima));
    report
}

fn failed(report: &Report) -> Vec<&str> {
    let failed = report.checks.iter().filter(|finding| finding.check.verdict == crate::check::Verdict::Fail);
    failed.map(|finding| finding.check.rule.name).collect()
}

/// A list of a boot and a program, and its PCR 10 after the first entry and after the second.
fn list() -> (String, [String; 2]) {
    let (boot, boot_data) = line(10, &sha256(&[0; 10 * 32]), "boot_aggregate");
    let (runc, runc_data) = line(10, &sha256(b"runc"), "/usr/bin/runc");
    let first = sha256(&[vec![0; 32], sha256(&boot_data)].concat());
    let second = sha256(&[first.clone(), sha256(&runc_data)].concat());
    (boot + &runc, [hex(&first), hex(&second)])
}

#[test]
fn proved_by_a_register_as_given() {
    let (list, [first, second]) = list();
    for (register, entries) in [(first, 1), (second, 2)] {
        let report = verify(&list, &format!(r#"{{"10": "{register}"}}"#));
        let verdict = if entries == 2 { Verdict::Verified } else { Verdict::Incomplete };
        assert_eq!((report.verdict, &report.claims["entries_proved"]), (verdict, &entries.into()));
        assert_eq!(report.anchors, ["as given: pcrs.json"]);
    }
}

#[test]
fn an_entry_that_no_register_proves() {
    let (list, [_, second]) = list();
    let longer = list.clone() + &line(10, &sha256(b"evil"), "/usr/bin/evil").0;
    for report in [verify(&longer, &format!(r#"{{"10": "{second}"}}"#)), quoted(&longer, Some(&second))] {
        assert_eq!((report.verdict, report.missing[0].part), (Verdict::Incomplete, "pcr10"));
        assert_eq!((&report.claims["entries"], &report.claims["entries_proved"]), (&3.into(), &2.into()));
        assert_eq!(report.claims["files"], serde_json::json!(["boot_aggregate", "/usr/bin/runc"]));
        assert_eq!(report.claims["last"][1], "/usr/bin/runc");
    }
}

#[test]
fn a_register_beside_another_that_contradicts_it() {
    let (list, [_, second]) = list();
    let other = "01".repeat(32);
    let sha512 = "01".repeat(64);
    let both = format!(r#"{{"sha256": {{"10": "{second}"}}, "sha512": {{"10": "{sha512}"}}}}"#);
    let report = verify(&list, &both);
    assert_eq!((report.verdict, failed(&report)), (Verdict::Rejected, vec!["ima.replays"]));
    let files = [("pcrs-a.json", format!(r#"{{"10": "{second}"}}"#)), ("pcrs-b.json", format!(r#"{{"10": "{other}"}}"#))];
    for files in [[&files[0], &files[1]], [&files[1], &files[0]]] {
        let files = files.map(|(name, text)| Document { name, bytes: text.as_bytes() });
        let documents = [&[Document { name: "a", bytes: list.as_bytes() }][..], &files].concat();
        let report = appraise(&documents, &Settings { now: 0, nonce: None, roots: &Roots::shipped() });
        assert_eq!((report.verdict, failed(&report)), (Verdict::Rejected, vec!["ima.replays"]));
    }
}

#[test]
fn incomplete_without_its_register() {
    let (list, [_, second]) = list();
    let another = second.replace('0', "1");
    for pcrs in [String::new(), format!(r#"{{"10": "{another}"}}"#), format!(r#"{{"0": "{second}"}}"#)] {
        let report = verify(&list, &pcrs);
        assert_eq!((report.verdict, report.missing[0].part), (Verdict::Incomplete, "pcr10"));
        assert_eq!(report.claims["pcr10_sha256_rehashed"], second);
    }
}

#[test]
fn rejected_where_it_disagrees_with_itself_or_with_the_boot() {
    let (list, _) = list();
    let report = verify(&list.replace("/usr/bin/runc", "/usr/bin/rund"), "");
    assert_eq!((report.verdict, failed(&report)), (Verdict::Rejected, vec!["ima.template_digest"]));
    let boot = |value: &str| {
        let registers = (0..10).map(|index| format!(r#""{index}": "{}""#, value.repeat(32))).collect::<Vec<_>>();
        verify(&list, &format!("{{{}}}", registers.join(", ")))
    };
    assert_eq!(boot("00").verdict, Verdict::Incomplete);
    assert_eq!((boot("01").verdict, failed(&boot("01"))), (Verdict::Rejected, vec!["ima.boot_aggregate"]));
}

#[test]
fn refused_where_it_has_entries_of_another_register() {
    let (list, [_, second]) = list();
    let list = list + &line(11, &sha256(b"other"), "/usr/bin/other").0;
    let report = verify(&list, &format!(r#"{{"10": "{second}"}}"#));
    assert_eq!((report.verdict, failed(&report)), (Verdict::Refused, vec!["ima.register"]));
}

#[test]
fn names_need_not_be_text() {
    let (list, _) = list();
    let mut bytes = list.into_bytes();
    let last = bytes.len() - 2;
    bytes[last] = 0xff;
    let documents = [Document { name: "a", bytes: &bytes }];
    let report = appraise(&documents, &Settings { now: 0, nonce: None, roots: &Roots::shipped() });
    assert_eq!((report.kind, failed(&report)), (Some(Kind::Ima), vec!["ima.template_digest"]));
}

/// The list with a quote of PCR 0 to 10, where PCR 10 holds `register`, or of PCR 0 to 9 only.
fn quoted(list: &str, register: Option<&str>) -> Report {
    let mut values = PcrValues::new(podseal_protocol::Bank::Sha256);
    for index in 0..10 {
        assert!(values.insert(index, &[0; 32]));
    }
    if let Some(register) = register {
        assert!(values.insert(10, &crate::hex::decode(register).unwrap()));
    }
    let pcrs = values.iter().map(|(index, value)| format!(r#""{index}": "{}""#, hex(value))).collect::<Vec<_>>().join(", ");
    let pcrs = format!(r#"{{"sha256": {{{pcrs}}}}}"#);
    let key = &forge::keys()[0];
    let quote = forge::quote(&values, b"a nonce");
    let (signature, public) = (forge::sign(key, &quote), forge::ak_public(key));
    let documents = [("l", list.as_bytes()), ("pcrs.json", pcrs.as_bytes()), ("q", &quote), ("s", &signature), ("ak", &public)];
    let documents = documents.map(|(name, bytes)| Document { name, bytes });
    let report = appraise(&documents, &Settings { now: 0, nonce: None, roots: &Roots::shipped() });
    assert_eq!(report.kind, Some(Kind::TpmQuote));
    report
}

#[test]
fn proved_by_a_quote() {
    let (list, [first, second]) = list();
    assert_eq!(quoted(&list, Some(&second)).verdict, Verdict::Verified);
    assert_eq!(quoted(&list, Some(&first)).claims["entries_proved"], 1);
    let (cut, _) = list.split_once('\n').unwrap();
    let report = quoted(cut, Some(&second));
    assert_eq!((report.verdict, failed(&report)), (Verdict::Rejected, vec!["ima.replays"]));
    let bogus = format!("10 {} ima-ng sha256:{} /usr/bin/evil\n", "0".repeat(40), "ab".repeat(32));
    let report = quoted(&bogus, Some(&second));
    assert_eq!((report.verdict, failed(&report)), (Verdict::Rejected, vec!["ima.replays"]));
    assert_eq!(quoted(&(bogus + "garbage\n"), Some(&second)).verdict, Verdict::Malformed);
    let report = quoted(&list, None);
    assert_eq!((report.verdict, report.missing[0].part), (Verdict::Incomplete, "pcr10"));
}
