//! Logs made here, in the crate's own words; real machines' logs are vectors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attacks;
mod forge;
mod formats;
mod registers;
mod secure_boot;
mod summary;
mod td;
