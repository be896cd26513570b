//! The deciders. Evidence, endorsements, reference values and time come in as arguments; an appraisal goes out. Nothing here waits.

pub mod appraiser;
pub mod batch;
mod calendar;
mod challenge;
pub mod check;
pub mod checkpoint;
pub mod claims;
pub mod continuity;
pub mod decision;
pub mod enrolment;
pub mod entry;
pub mod eventlog;
pub mod explanation;
mod hex;
mod json;
pub mod merkle;
pub mod pod_log;
pub mod policy;
pub mod recheck;
pub mod records;
pub mod reference;
pub mod report;
pub mod rules;
pub mod token;
pub mod tpm;
pub mod workload;
pub mod x509;
