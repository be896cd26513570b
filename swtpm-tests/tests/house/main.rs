//! The house rules, as tests: which crate may depend on which, what shipped code may not do, and that what the documents promise is there.
//!
//! Nothing here runs Podseal. The tests read the workspace: its manifests through cargo, its sources and documents as text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod checks;
mod documents;
mod promises;
mod shape;
mod sources;
mod walls;
mod workspace;
