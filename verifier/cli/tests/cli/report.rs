//! `podseal report verify` of what is no evidence, or not all of it. Real evidence: the appraisal's own tests.

use std::{ffi::OsStr, fs};

use tempfile::TempDir;

use crate::program::{Ran, podseal};

fn verify(files: &[(&str, &[u8])], options: &[&str]) -> Ran {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let options = options.iter().map(OsStr::new);
    let words = ["report", "verify"].map(OsStr::new).into_iter().chain(options).chain([folder.path().as_os_str()]).collect::<Vec<_>>();
    podseal(&words)
}

/// TCG PFP 1.06, 10.2.1: one event of PCR 0.
const LOG: [u8; 32] = [0, 0, 0, 0, 1, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0];

#[test]
fn nothing_is_judged_where_nothing_can_be() {
    verify(&[("log", &LOG)], &["--nonce", ""]).exits(1).says(&["--nonce", "hexadecimal"]);
    verify(&[("log", &LOG)], &["--nonce", "0g"]).exits(1).says(&["--nonce", "hexadecimal"]);
    verify(&[("log", &LOG)], &["--at", "yesterday"]).exits(1).says(&["--at"]);
    podseal(&["report", "verify", "/nonexistent"]).exits(1).says(&["/nonexistent"]);
    podseal(&["report", "verify"]).exits(1).says(&["FILE"]);
}

#[test]
fn what_is_no_evidence_is_malformed() {
    assert!(verify(&[("note", b"hello")], &[]).exits(5).out.starts_with("MALFORMED"));
    let cut = verify(&[("binary_bios_measurements", &LOG[..31])], &["--json"]).exits(5).json();
    assert_eq!((&cut["verdict"], &cut["anchor"]), (&"malformed".into(), &serde_json::Value::Null));
}

#[test]
fn what_nothing_proves_says_so() {
    let alone = verify(&[("log", &LOG)], &[]).exits(4).out;
    for part in ["INCOMPLETE", "missing", "claims, not proved: {"] {
        assert!(alone.contains(part), "{part}: {alone}");
    }
    let said = verify(&[("log", &LOG)], &["--json"]).exits(4).json();
    assert_eq!((&said["verdict"], &said["anchor"]), (&"incomplete".into(), &serde_json::Value::Null));
    assert!(!said["missing"].as_array().unwrap().is_empty(), "{said}");
}
