//! The shipped binary over real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

#[path = "service/administration.rs"]
mod administration;
#[path = "service/disk.rs"]
mod disk;
#[path = "service/enrolment.rs"]
mod enrolment;
#[path = "service/races.rs"]
mod races;
#[path = "service/routes.rs"]
mod routes;
#[path = "service/software_tpm.rs"]
mod software_tpm;
#[path = "service/starting.rs"]
mod starting;
#[path = "service/stored.rs"]
mod stored;
#[path = "service/verifier.rs"]
mod verifier;
