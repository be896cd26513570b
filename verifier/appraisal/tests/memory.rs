//! What a report costs in memory, whoever sends it: at most eight times its bytes and 4 MiB.
//!
//! A program of its own, with one test: its allocator counts, and nothing else runs beside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "memory/hostile.rs"]
mod hostile;

use hostile::{MIB, hostile, together};
use peak_alloc::PeakAlloc;
use podseal_appraisal::report::{Document, Settings, appraise};
use podseal_appraisal::x509::Roots;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn memory_of_a_report_is_bounded() {
    let roots = Roots::shipped();
    let settings = Settings { now: 1_780_272_000, nonce: None, roots: &roots };
    let peak_of_all = |documents: &[Document<'_>]| {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let report = appraise(documents, &settings);
        drop(report);
        ALLOCATOR.peak_usage() - before
    };
    let peak_of = |name: &str, bytes: &[u8]| peak_of_all(&[Document { name, bytes }]);
    let empty = peak_of("empty", b"");
    for files in together(MIB) {
        let documents = files.iter().map(|(name, bytes)| Document { name, bytes }).collect::<Vec<_>>();
        let (length, peak) = (files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), peak_of_all(&documents).saturating_sub(empty));
        assert!(peak <= 8 * length + 4 * MIB, "{}: {peak} bytes for {length} of input", files[0].0);
    }
    for (name, bytes) in hostile(MIB) {
        for name in [name, "anything"] {
            let peak = peak_of(name, &bytes).saturating_sub(empty);
            assert!(peak <= 8 * bytes.len() + 4 * MIB, "{name}: {peak} bytes for {} of input {:?}", bytes.len(), bytes.get(..40));
        }
    }
}
