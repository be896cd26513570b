//! The test bench: real parts, started and ended by tests, demo and playground.
//!
//! A software TPM with its maker ([`tpm_ca`], [`swtpm`]), a measured boot ([`bootlog`]), an attacker on the bus ([`tpm_proxy`]), a node's container
//! runtime with images and pods ([`containerd`], [`image`], [`pod`]) and a cluster's token issuer ([`issuer`]). None of these shares code with what it
//! tests: a mistake must be made twice to go unseen.
//!
//! [`hardware`] makes the evidence of machines that nobody here has, freshly signed under makers' roots of its own, and serves it where a node asks.
//!
//! [`site`] puts them together with the shipped programs: a verifier, a cluster, its nodes and pods. Only [`site::counterfeit`], an attester that lies, uses
//! the shipped crates themselves.
//!
//! [`kubernetes`] is a cluster as released: API server, controllers, scheduler, and nodes with kubelets.
//!
//! [`leak_hunt`] searches the machine for a secret: the demo ends with it.
//!
//! [`sandbox`] runs a program in namespaces of its own, so that a bench leaves nothing behind, however it ends.

#![allow(clippy::indexing_slicing, clippy::string_slice)]

pub mod binaries;
pub mod bootlog;
mod cgroups;
pub mod children;
pub mod containerd;
pub mod cri;
pub mod error;
pub mod hardware;
pub mod image;
pub mod issuer;
pub mod kubernetes;
pub mod leak_hunt;
pub mod pod;
mod ports;
pub mod raw_tpm;
pub mod sandbox;
pub mod site;
pub mod swtpm;
pub mod tpm_ca;
pub mod tpm_proxy;
