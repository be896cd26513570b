//! One entry of the manifest: its files, its verdict, its claims, its alternates.

use super::manifest::{Vector, unhex};
use podseal_appraisal::report::{Document, Report, Settings, Verdict, appraise};
use podseal_appraisal::x509::Roots;
use podseal_protocol::Digest;
use serde_json::Value;

/// Where time plays no part: 2026-06-01.
const ANY_TIME: u64 = 1_780_272_000;

pub(crate) fn run(vector: &Vector) {
    if vector.entry["id"] == "tpm-ek/manufacturer-root-bundle" {
        return;
    }
    let (files, now) = (files(vector), now(vector));
    let report = verify(&files, now, None);
    assert_eq!(report.verdict, wanted(vector, vector.verdict()), "{} {}", vector.entry["id"], told(&report));
    if report.verdict != Verdict::Malformed {
        let claims = Value::Object(report.claims.clone());
        for (name, claimed) in vector.entry["expected"]["claims"].as_object().unwrap() {
            same(&format!("{} {name}", vector.entry["id"]), claimed, &claims[name]);
        }
    }
    alternates(vector, &files, now);
    // What content tells needs no name.
    let anonymous = files.iter().enumerate().map(|(n, (name, bytes))| (renamed(n, name), bytes.clone())).collect::<Vec<_>>();
    assert_eq!(verify(&anonymous, now, None).verdict, report.verdict, "{} under other names", vector.entry["id"]);
}

/// The names and contents of a vector's files.
pub(crate) fn files(vector: &Vector) -> Vec<(String, Vec<u8>)> {
    let names = vector.entry["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap());
    names.map(|name| (name.to_owned(), vector.file(name))).collect()
}

/// When it is to be verified.
pub(crate) fn now(vector: &Vector) -> u64 {
    if vector.entry["verify_at"].is_null() { ANY_TIME } else { vector.now() }
}

fn alternates(vector: &Vector, files: &[(String, Vec<u8>)], now: u64) {
    for alternate in vector.entry["alternates"].as_array().into_iter().flatten() {
        let report = match alternate["change"].as_str().unwrap() {
            "verify_at" => verify(files, at(&alternate["verify_at"]), None),
            "nonce" => verify(files, now, Some(&unhex(&alternate["nonce"]))),
            "pcrs" => verify(&other_registers(files), now, None),
            other => panic!("nobody knows how to change {other}"),
        };
        let verdict = alternate["verdict"].as_str().unwrap();
        assert_eq!(report.verdict, wanted(vector, verdict), "{} {alternate} {}", vector.entry["id"], told(&report));
    }
}

/// The first digit of the first PCR value altered.
fn other_registers(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let altered = |name: &str, bytes: &[u8]| {
        let mut text = String::from_utf8(bytes.to_vec()).unwrap();
        if name.starts_with("pcrs") {
            let at = text.find(": \"").unwrap() + 3;
            let digit = if &text[at..=at] == "0" { "1" } else { "0" };
            text.replace_range(at..=at, digit);
        }
        text.into_bytes()
    };
    files.iter().map(|(name, bytes)| (name.clone(), if name.starts_with("pcrs") { altered(name, bytes) } else { bytes.clone() })).collect()
}

fn at(time: &Value) -> u64 {
    let text = time.as_str().unwrap();
    toml_time(text)
}

fn toml_time(text: &str) -> u64 {
    let entry = serde_json::json!({ "verify_at": text });
    Vector::of(entry).now()
}

/// Names that the command lists decide where content cannot; every other file gets one that says nothing.
fn renamed(n: usize, name: &str) -> String {
    let kept = ["nonce.dat", "ak", "public.pem", "verify_key", "quote.", "pcrs", "nonce.hex"];
    if kept.iter().any(|kept| name.starts_with(kept)) { name.to_owned() } else { format!("{n}f3a{n}") }
}

pub(crate) fn verify(files: &[(String, Vec<u8>)], now: u64, nonce: Option<&[u8]>) -> Report {
    let documents = files.iter().map(|(name, bytes)| Document { name, bytes }).collect::<Vec<_>>();
    appraise(&documents, &Settings { now, nonce, roots: &Roots::shipped() })
}

fn wanted(vector: &Vector, word: &str) -> Verdict {
    // A log alone says nothing about a machine; without a register that somebody vouches for it stays incomplete.
    let log = ["ima", "ccel"].contains(&vector.entry["category"].as_str().unwrap());
    match word {
        "valid" if log => Verdict::Incomplete,
        "valid" => Verdict::Verified,
        "authentic_policy" => Verdict::Refused,
        "parse" => Verdict::Incomplete,
        "invalid" => Verdict::Rejected,
        "malformed" => Verdict::Malformed,
        other => panic!("{other}"),
    }
}

fn told(report: &Report) -> String {
    let checks = report.checks.iter().map(|finding| {
        let check = &finding.check;
        format!("\n  {} {}: expected {}, found {}", check.verdict.as_str(), check.rule.name, check.expected, check.found)
    });
    let rest = format!("\n  missing {:?}\n  malformed {:?}\n  ignored {:?}", report.missing, report.malformed, report.ignored);
    checks.chain([rest]).collect()
}

/// Every claim of the manifest, at any depth; a long text may stand there by its beginning and its digest.
fn same(place: &str, claimed: &Value, found: &Value) {
    match (claimed, found) {
        (Value::Object(claimed), Value::Object(found)) => {
            for (name, claimed) in claimed {
                same(&format!("{place}.{name}"), claimed, found.get(name).unwrap_or(&Value::Null));
            }
        }
        (Value::Array(claimed), Value::Array(found)) if claimed.len() == found.len() => {
            for (n, (claimed, found)) in claimed.iter().zip(found).enumerate() {
                same(&format!("{place}[{n}]"), claimed, found);
            }
        }
        (Value::String(text), Value::String(found)) if text.contains(" chars, sha256 ") => {
            let (begin, rest) = text.split_once("... (").unwrap();
            let digest = rest.split_once("sha256 ").unwrap().1.trim_end_matches(')');
            assert!(found.starts_with(begin) && Digest::of(found.as_bytes()).to_string() == digest, "{place}: {text}, found {found}");
        }
        _ => assert_eq!(claimed, found, "{place}"),
    }
}
