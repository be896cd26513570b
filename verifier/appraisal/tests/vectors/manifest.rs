//! Where the vectors are, and what the manifest says of each.

use base64::Engine as _;
use podseal_appraisal::check::{Checks, Rule, Verdict};
use podseal_protocol::Digest;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;

/// One entry of the manifest.
pub(crate) struct Vector {
    pub(crate) entry: Value,
    folder: PathBuf,
}

impl Vector {
    /// One without files.
    pub(crate) fn of(entry: Value) -> Self {
        Self { entry, folder: PathBuf::new() }
    }

    /// The part of the id behind the category.
    pub(crate) fn name(&self) -> &str {
        self.entry["id"].as_str().unwrap().split_once('/').unwrap().1
    }

    pub(crate) fn verdict(&self) -> &str {
        self.entry["expected"]["verdict"].as_str().unwrap()
    }

    pub(crate) fn claim(&self, name: &str) -> &Value {
        &self.entry["expected"]["claims"][name]
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    /// A data file, as the manifest has its digest.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        let bytes = std::fs::read(self.folder.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", self.folder.display()));
        let listed = self.entry["files"].as_array().unwrap().iter().find(|file| file["name"] == name).expect("listed");
        assert_eq!(Digest::of(&bytes).to_string(), listed["sha256"], "{name}");
        bytes
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.file(name)).unwrap()
    }

    /// `verify_at` in seconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        let text = self.entry["verify_at"].as_str().unwrap();
        let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
        let (year, month, day) = (number(0..4), number(5..7), number(8..10));
        // Days from civil: March is the first month, so that the leap day is a year's last.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
        ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)
    }
}

/// The entries of `category`; `None` where no vectors are there, which with `CI` set is a failure.
pub(crate) fn entries(category: &str) -> Option<Vec<Vector>> {
    let folder = std::env::var_os("PODSEAL_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")), PathBuf::from);
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        let reason = format!("no vectors at {}; PODSEAL_VECTORS names another place", folder.display());
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        // Not println: a skip shows also where the harness captures output.
        let mut terminal = std::io::stderr();
        writeln!(terminal, "SKIPPED {category}: {reason}").unwrap();
        return None;
    };
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let vector = |entry: Value| Vector { folder: folder.join(entry["path"].as_str().unwrap()), entry };
    Some(manifest.into_iter().filter(|entry| entry["category"] == category).map(vector).collect())
}

/// Runs `each` over the `count` entries of `category`.
pub(crate) fn run(category: &str, count: usize, each: fn(&Vector)) {
    let Some(entries) = entries(category) else { return };
    entries.iter().for_each(each);
    assert_eq!(entries.len(), count, "entries of {category}");
}

pub(crate) fn unknown(vector: &Vector) -> ! {
    panic!("nobody runs {}", vector.entry["id"]);
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    assert_eq!(text.len() % 2, 0);
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The DER of each PEM block.
pub(crate) fn pem(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = std::str::from_utf8(bytes).unwrap();
    let bodies = text.split("-----BEGIN").skip(1).map(|block| {
        let body = block.split_once("-----\n").unwrap().1.split_once("-----END").unwrap().0;
        body.split_whitespace().collect::<String>()
    });
    bodies.map(|body| base64::engine::general_purpose::STANDARD.decode(body).unwrap()).collect()
}

/// Runs one appraisal; what it returned, and the rules that failed.
pub(crate) fn appraise<T>(rules: &[&'static Rule], run: impl FnOnce(&mut Checks) -> Option<T>) -> (Option<T>, Vec<&'static str>) {
    let mut checks = Checks::owing(rules);
    let result = run(&mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect();
    (result, failed)
}
