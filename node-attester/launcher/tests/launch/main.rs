//! The real `podseal-launch` against an attester that speaks the real protocol: real sockets, HPKE, signatures, tmpfs mounts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attester;
mod container;
mod deliveries;
mod memory;
mod placing;
mod programs;
mod starting;
mod usage;
mod verifier;
mod waiting;
