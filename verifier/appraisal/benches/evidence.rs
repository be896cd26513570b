//! Hardware evidence appraised warm, against the bare verification of its signatures in the same run.
//!
//! Warm: paths to roots, revocation lists and collateral were verified before and are kept by digest; AKs and issuers' keys are parsed.
//! "Appraised" is the whole way from received bytes: parse, appraise up to the root, and by the shipped policy. "Signatures" are those that
//! are new each time, verified by the library alone under keys parsed before. Evidence is recorded but for the TPM's, which is minted:
//! a node quotes over a binding, which no recorded quote has. Without recorded evidence its kinds are skipped, which with `CI` set is a
//! failure. The other tables: the report of the same files, where nothing is kept; a long boot log; and hostile input.
//!
//! Raw samples: `target/bench/evidence-*.csv`, nanoseconds. Exit code 1 where a gate is missed, or something in it did not verify.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a measurement reads the clock and writes files")]
#![allow(dead_code, reason = "the tests use more of these than the measurement does")]

#[path = "../tests/exchange/boot.rs"]
mod boot;
#[path = "evidence/boot_log.rs"]
mod boot_log;
#[path = "../tests/memory/hostile.rs"]
mod hostile;
#[path = "evidence/kinds.rs"]
mod kinds;
#[path = "evidence/linear.rs"]
mod linear;
#[path = "../tests/vectors/manifest.rs"]
mod manifest;
#[path = "evidence/reports.rs"]
mod reports;
#[path = "evidence/samples.rs"]
mod samples;
#[path = "../tests/exchange/tpm.rs"]
mod tpm;

use kinds::Kind;
use samples::{Samples, folder, nanoseconds, word};
use std::process::ExitCode;

const GATE: f64 = 2.0;
const WARM_UP: usize = 50;
const SAMPLES: usize = 1_000;

fn measure(kind: &Kind) -> Samples<2> {
    let mut rows = Vec::with_capacity(SAMPLES);
    for round in 0..WARM_UP + SAMPLES {
        let bare = nanoseconds(|| kind.signatures.iter().for_each(kinds::Signature::verify));
        let mut verified = false;
        let warm = nanoseconds(|| verified = (kind.appraise)());
        assert!(verified, "{}: an appraisal in the measurement did not verify", kind.name);
        if round >= WARM_UP {
            rows.push([bare, warm]);
        }
    }
    Samples { names: ["signatures", "appraised"], rows }
}

fn main() -> ExitCode {
    let mut held = true;
    println!("Hardware evidence, warm, microseconds, p50:");
    println!("{:<22} | {:>6} | {:>10} | {:>9} | {:>5}", "kind", "number", "signatures", "appraised", "ratio");
    for kind in kinds::all() {
        let samples = measure(&kind);
        samples.save(&folder().join(format!("evidence-{}.csv", kind.name.to_lowercase().replace(", ", "-").replace(' ', "-"))));
        let (ratio, count) = (samples.ratio(50), kind.signatures.len());
        let (bare, warm, word) = (samples.micro(0, 50), samples.micro(1, 50), word(ratio, GATE, kind.aim));
        println!("{:<22} | {count:>6} | {bare:>10.1} | {warm:>9.1} | {ratio:>5.2} | {word}: gate {GATE}, aim {}", kind.name, kind.aim);
        held &= ratio <= GATE;
    }
    reports::run();
    held &= boot_log::run();
    held &= linear::run();
    println!("raw samples: {}/evidence-*.csv", folder().display());
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
