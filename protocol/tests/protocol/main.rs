//! The protocol from outside: what is encoded one way only, what is refused, and what a launcher takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    missing_docs
)]

mod binding;
mod cbor_walk;
mod challenge;
mod codecs;
mod delivery;
mod domains;
mod encoding;
mod examples;
mod fixtures;
mod frame;
mod join;
mod key;
mod leaf;
mod limits;
mod pod_log;
mod properties;
mod seal;
