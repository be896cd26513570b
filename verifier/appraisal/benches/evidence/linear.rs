//! Hostile input takes processor time in proportion to its length.

use super::hostile::{MIB, hostile};
use super::samples::{Samples, folder, processor_nanoseconds};
use podseal_appraisal::report::{Document, Settings, appraise};
use podseal_appraisal::x509::Roots;
use std::hint::black_box;

const ROUNDS: usize = 25;
/// Milliseconds for a mebibyte.
const GATE: f64 = 100.0;
/// How much longer twice the length may take: a measurement is never quite even. Of each the least time counts, which what else runs on
/// the machine disturbs least.
const GROWTH: f64 = 2.6;
/// Milliseconds below which the growth is that of the noise.
const MEASURABLE: f64 = 0.5;

/// Whether the gates were held.
pub(crate) fn run() -> bool {
    let roots = Roots::shipped();
    let settings = Settings { now: 1_780_272_000, nonce: None, roots: &roots };
    let appraised = |name: &str, bytes: &[u8]| {
        processor_nanoseconds(|| drop(black_box(appraise(&[Document { name, bytes: black_box(bytes) }], &settings))))
    };
    println!("\nHostile input, through the whole report, milliseconds of the processor, least:");
    println!("{:>2} | {:<27} | {:>7} | {:>7} | {:>6}", "", "form", "1 MiB", "2 MiB", "growth");
    let mut held = true;
    for (number, ((name, one), (_, two))) in hostile(MIB).into_iter().zip(hostile(2 * MIB)).enumerate() {
        let rows = (0..ROUNDS).map(|_| [appraised(name, &one), appraised(name, &two)]).collect();
        let samples = Samples { names: ["one", "two"], rows };
        samples.save(&folder().join(format!("evidence-hostile-{number}.csv")));
        let (time, growth) = (samples.micro(0, 0) / 1_000.0, samples.ratio(0));
        let fits = time <= GATE && (time < MEASURABLE || growth <= GROWTH);
        let word = if fits { "" } else { " | ABOVE THE GATE" };
        println!("{number:>2} | {name:<27} | {time:>7.2} | {:>7.2} | {growth:>6.2}{word}", samples.micro(1, 0) / 1_000.0);
        held &= fits;
    }
    println!("gate: {GATE} ms for 1 MiB; twice the length at most {GROWTH} times the time, where it takes {MEASURABLE} ms or more");
    held
}
