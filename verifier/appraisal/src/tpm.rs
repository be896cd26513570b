//! TPM 2.0: what a TPM signs and certifies, and the steps that make facts of it.
//!
//! [`ak`] and [`ek`] appraise the two keys of a TPM, [`credential`] makes the challenge that ties one to the other, [`quote`] appraises
//! what the AK signed. [`structures`] and [`buffer`] only parse; nothing there decides.

pub mod ak;
mod algorithm;
pub mod buffer;
pub mod credential;
pub mod ek;
mod pcr;
pub mod quote;
mod rsa;
pub mod signer;
pub mod structures;
#[cfg(test)]
pub(crate) mod tests;

pub use algorithm::HashAlgorithm;
pub use pcr::{PcrSet, PcrValues};
pub use rsa::encrypt_oaep;
