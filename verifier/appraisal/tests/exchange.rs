//! A whole exchange through the public interface: the honest one is released, and for each rule there is an attack that fails at it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    clippy::disallowed_methods
)]

#[path = "exchange/challenge.rs"]
mod challenge;
#[path = "exchange/continuity.rs"]
mod continuity;
#[path = "exchange/enrolment.rs"]
mod enrolment;
#[path = "exchange/honest.rs"]
mod honest;
#[path = "exchange/leaf.rs"]
mod leaf;
#[path = "exchange/log.rs"]
mod log;
#[path = "exchange/missing.rs"]
mod missing;
#[path = "exchange/node.rs"]
mod node;
#[path = "exchange/pod_log.rs"]
mod pod_log;
#[path = "exchange/properties.rs"]
mod properties;
#[path = "exchange/quote.rs"]
mod quote;
#[path = "exchange/recheck.rs"]
mod recheck;
#[path = "exchange/refused.rs"]
mod refused;
#[path = "exchange/registry.rs"]
mod registry;
#[path = "exchange/release.rs"]
mod release;
#[path = "exchange/several.rs"]
mod several;
#[path = "exchange/token.rs"]
mod token;
#[path = "exchange/workload.rs"]
mod workload;
#[path = "exchange/world.rs"]
#[allow(unused_imports, reason = "the measurement uses it too, and other parts of it")]
mod world;
