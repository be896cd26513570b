//! Hardware that nobody here has: evidence signed afresh under makers' roots of its own, behind the interfaces that a node asks.
//!
//! Each maker has a root that no shipped program believes, and what it makes:
//! - [`amd`]: chips, and reports of SEV-SNP guests; [`intel`]: platforms, quotes of TDs, and what is thought of both; [`amazon`]: documents.
//! - [`kernel`]: the guest's kernel, mounted, through which a node asks for reports and quotes.
//! - [`nitro_tpm`], [`microsoft`]: a software TPM as a NitroTPM, and as an Azure confidential VM's.
//! - [`services`]: what the makers publish.
//!
//! Everything is laid out by offset from the makers' specifications, and shares no code with what appraises it. All of it is good from a day ago to a year
//! from now ([`moment::USUAL`]), but for the certificates of Amazon's hypervisors, which are good for three hours.

pub mod amazon;
pub mod amd;
mod cbor;
mod certificate;
mod der;
pub mod intel;
pub mod kernel;
mod keys;
pub mod microsoft;
pub mod moment;
pub mod nitro_tpm;
mod packet;
pub mod services;

use crate::error::BenchError;

/// For `map_err` on what the cryptographic library refuses.
fn refused<E: std::fmt::Debug>(doing: &'static str) -> impl FnOnce(E) -> BenchError {
    move |error| BenchError::answer("the cryptographic library", format!("{error:?}"), doing)
}
