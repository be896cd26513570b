//! Lists made here, in the crate's own words; real machines' lists are vectors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agent;
mod forge;
mod formats;
mod register;
mod signatures;
