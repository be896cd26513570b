//! AMD SEV-SNP: attestation reports, the keys that sign them, and the certificates of those keys.
//!
//! [`Report`] and [`CertificateTable`] only parse; nothing there decides. [`appraise_report`] makes [`Facts`] of a report, its certificates
//! and the roots; [`appraise_policy`] says whether the facts are good enough. Sources: AMD 56860 (SEV-SNP firmware ABI), 57230 (VCEK
//! certificate and KDS interface), 56421 (GHCB).

mod authentic;
mod policy;
mod report;
mod revocation;
mod rules;
mod set;
mod table;
mod tcb;
#[cfg(test)]
pub(crate) mod tests;
mod vek;
mod words;

pub use authentic::{Evidence, Facts, Part, Trust, Unproven, appraise_report};
pub use policy::{Distrust, POLICY_RULES, Policy, TcbFloor, appraise_policy};
pub use report::{Body, Report, ReportError};
pub use revocation::{CrlNumber, REVOCATION_RULES, Revocation};
pub use rules::{FRESHNESS_RULES, PRODUCT_RULES, RULES};
pub use set::{SET_RULES, appraise_set};
pub use table::{CertificateTable, TableError};
pub use tcb::{Product, Tcb};
pub use vek::{Vek, VekError, VekKind, choose};
pub use words::{Cpuid, FirmwareVersion, SigningKey};
