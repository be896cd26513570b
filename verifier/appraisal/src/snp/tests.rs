//! Each rule of reports: the honest twin passes, the attack fails at that rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod authentic;
mod chain;
pub(crate) mod forge;
mod parse;
mod policy;
mod revocation;
