//! The real `podseal`, alone and against the real `podseal-verifier`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "cli/capture.rs"]
mod capture;
#[path = "cli/endorsements.rs"]
mod endorsements;
#[path = "cli/policy.rs"]
mod policy;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/round_trip.rs"]
mod round_trip;
#[path = "cli/usage.rs"]
mod usage;
#[path = "cli/verifier.rs"]
mod verifier;
