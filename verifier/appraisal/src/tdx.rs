//! Intel TDX: what a quote says about a trust domain (TD), and the steps that make facts of it.
//!
//! [`Quote::parse`] reads, [`appraise_quote`] goes from the quote up to a root, [`Collateral::verify`] verifies what Intel says about
//! platforms, [`appraise`] compares the two, and [`appraise_policy`] says whether anything would be released. Each step takes only what
//! the one before it made.

pub mod ccel;
mod collateral;
mod enclave;
mod evaluation;
mod genuine;
mod kept;
mod pck;
pub mod policy;
mod qe_identity;
mod quote;
pub mod rules;
mod signed;
mod tcb;
mod tcb_info;
mod td_report;
#[cfg(test)]
pub(crate) mod tests;

pub use collateral::{Collateral, CollateralEvidence, Part};
pub use enclave::EnclaveReport;
pub use evaluation::{Evaluation, ModuleEvaluation, QeEvaluation};
pub use genuine::{GenuineQuote, TdxEvidence, appraise_certificates, appraise_lists, appraise_quote, pck_certificate};
pub use kept::{CollateralBytes, KeptCollateral, NoCollateral};
pub use pck::Pck;
pub use policy::{POLICY_RULES, Policy, appraise_policy};
pub use quote::{Quote, QuoteError};
pub use rules::{COLLATERAL_RULES, QUOTE_RULES, TCB_RULES};
pub use signed::{CollateralError, SignedJson, Window};
pub use tcb::{Floors, TdxFacts, appraise};
pub use tcb_info::{Level, TcbStatus};
pub use td_report::{Extended, TdReport};
