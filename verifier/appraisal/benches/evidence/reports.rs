//! The report that an auditor asks for: files in, verdict out, with nothing kept from before.

use super::manifest::{self, Vector};
use super::samples::{Samples, folder, nanoseconds};
use podseal_appraisal::report::{Document, Settings, Verdict, appraise};
use podseal_appraisal::x509::Roots;
use std::hint::black_box;

const ROUNDS: usize = 50;
/// 2026-06-01, where time plays no part.
const ANY_TIME: u64 = 1_780_272_000;
const CATEGORIES: [&str; 11] =
    ["snp-report", "tdx-quote", "nitro", "nitrotpm", "azure-vtpm", "tpm-quote", "tpm-ek", "eat-ear", "tcg-eventlog", "ccel", "ima"];

pub(crate) fn run() {
    println!("\nReports of each kind's valid evidence, cold, microseconds:");
    println!("{:<14} | {:>7} | {:>9} | {:>9}", "kind", "reports", "p50", "p99");
    for category in CATEGORIES {
        let Some(mut entries) = manifest::entries(category) else { continue };
        entries.retain(|vector| vector.verdict() == "valid");
        let rows = entries.iter().flat_map(samples).collect::<Vec<_>>();
        let (samples, reports) = (Samples { names: ["report"], rows }, entries.len());
        samples.save(&folder().join(format!("evidence-report-{category}.csv")));
        println!("{category:<14} | {reports:>7} | {:>9.1} | {:>9.1}", samples.micro(0, 50), samples.micro(0, 99));
    }
}

fn samples(vector: &Vector) -> Vec<[u64; 1]> {
    let names = vector.entry["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned());
    let files = names.map(|name| (vector.file(&name), name)).collect::<Vec<_>>();
    let documents = files.iter().map(|(bytes, name)| Document { name, bytes }).collect::<Vec<_>>();
    let now = if vector.entry["verify_at"].is_null() { ANY_TIME } else { vector.now() };
    let sample = |_| {
        let roots = Roots::shipped();
        let settings = Settings { now, nonce: None, roots: &roots };
        let mut report = None;
        let time = nanoseconds(|| report = Some(appraise(black_box(&documents), &settings)));
        let verdict = report.unwrap().verdict;
        assert!(matches!(verdict, Verdict::Verified | Verdict::Incomplete), "{}: {}", vector.entry["id"], verdict.as_str());
        [time]
    };
    (0..ROUNDS).map(sample).collect()
}
