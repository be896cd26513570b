//! What `podseal_swtpm_tests::hardware` makes, held against the shipped `podseal` and the node's collectors: evidence that is verified only where its
//! maker's root is believed, and interfaces that a node can ask.
//!
//! Without root or `/dev/fuse` what mounts a kernel is skipped, and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod amazon;
mod amd;
mod intel;
mod kernel;
mod microsoft;
mod services;
mod verdict;
