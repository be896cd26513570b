//! The verifier: it waits (sockets, store, clock) and calls the deciders.

pub mod accept;
pub mod api;
pub mod archive;
pub mod challenge;
pub mod change;
pub mod clock;
pub mod config;
mod endorsed;
pub mod enrol;
pub mod exchange;
pub mod hardening;
pub mod in_force;
pub mod init;
pub mod kek;
pub mod keyring;
pub mod permissions;
pub mod random;
pub mod rejections;
pub mod release;
pub mod run;
pub mod store;
pub mod telemetry;
pub mod tls;
