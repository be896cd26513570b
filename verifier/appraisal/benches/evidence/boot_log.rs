//! A long boot log: replayed, held against a quote, and compared with reference values.

use super::boot::{self, Event};
use super::samples::{Samples, folder, nanoseconds};
use podseal_appraisal::check::Checks;
use podseal_appraisal::claims::Claim;
use podseal_appraisal::eventlog::{ReplayedLog, appraise_log};
use podseal_appraisal::layout::Layout;
use podseal_appraisal::reference::{Capture, MeasuredBoot, Reference, appraise_boot, capture};
use podseal_appraisal::tpm::{PcrSet, PcrValues};
use podseal_protocol::{Bank, Digest, Limits};
use std::hint::black_box;

const ENTRIES: usize = 2_000;
const ROUNDS: usize = 200;
/// Milliseconds.
const GATE: f64 = 2.0;
const NOW: u64 = 1_800_000_000;

/// Whether the gate was held.
pub(crate) fn run() -> bool {
    let events = events();
    let log = boot::log(&events);
    let registers = PcrSet::of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
    let wanted = Capture { name: "golden", expires: NOW + 1, bank: Bank::Sha256, layout: Layout::Tpm, registers, launch: None };
    let references = [Reference::parse(&capture(&log, &wanted, &Limits::DEFAULT).unwrap()).unwrap()];
    let mut quoted = PcrValues::new(Bank::Sha256);
    assert!(boot::registers(&events).iter().all(|(index, value)| quoted.insert(*index, &value.0)));
    let mut rows = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let bare = nanoseconds(|| {
            for event in &events {
                // What was measured, and the register behind it.
                black_box(Digest::of(&[Digest::of(black_box(&event.data)).0, [0; 32]].concat()));
            }
        });
        rows.push([bare, nanoseconds(|| assert!(compared(black_box(&log), &quoted, &references)))]);
    }
    let samples = Samples { names: ["hashes", "appraised"], rows };
    samples.save(&folder().join("evidence-boot-log.csv"));
    let milli = |percent| samples.micro(1, percent) / 1_000.0;
    let held = milli(50) <= GATE;
    let word = if held { "within the gate" } else { "ABOVE THE GATE" };
    println!("\nBoot log of {ENTRIES} entries, {} bytes, replayed and compared, milliseconds:", log.len());
    println!("  hashes alone {:.2}, p50 {:.2}, p99 {:.2}: {word} of {GATE}", samples.micro(0, 50) / 1_000.0, milli(50), milli(99));
    held
}

/// A boot with so many applications and policy lines that its log has the wanted length.
fn events() -> Vec<Event> {
    let mut events = boot::measured();
    while events.len() + 1 < ENTRIES {
        let number = events.len();
        events.push(boot::event([4, 8, 9][number % 3], 0x0d, format!("grub_cmd: module {number:0>80}").as_bytes()));
    }
    events
}

fn compared(log: &[u8], quoted: &PcrValues, references: &[Reference]) -> bool {
    let mut checks = Checks::owing(&[]);
    let replayed = ReplayedLog::replay(log, Bank::Sha256, Layout::Tpm, &Limits::DEFAULT);
    let Some(proved) = appraise_log(replayed.as_ref(), quoted, &mut checks) else { return false };
    let boot = MeasuredBoot { launch: None, quoted: Some(quoted), layout: Some(Layout::Tpm), log: Some(&proved), log_bytes: log };
    matches!(appraise_boot(references, boot, NOW, &Limits::DEFAULT, &mut checks).reach, Claim::Appraised(_))
}
