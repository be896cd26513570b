//! Reports: evidence as files, from whoever has them, to one verdict. The auditor's way in; nothing of a node's registration is known.
//!
//! [`appraise`] is the whole flow: recognise each file, see what kind of evidence they are together, appraise that kind, conclude. Kinds
//! record what they find in [`Findings`] under two headings: whether the evidence is what it says (else it is *rejected*), and whether the
//! shipped default policy would release anything on it (else it is *refused*).

mod azure;
mod ccel;
mod certificates;
mod eat;
mod ek;
mod eventlog;
mod findings;
mod ima;
mod nitro;
mod parts;
mod pcrs;
mod quote;
mod recognise;
mod snp;
mod tdx;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

pub use findings::{Finding, Malformed, Missing, Stage};
pub use recognise::NAMES;
pub use verdict::{Kind, Report, Verdict};

use crate::x509::Roots;
use findings::Findings;
use parts::Parts;

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Its name without folders: it decides only where the content cannot ([`NAMES`]).
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What the appraisal goes by, beside the files.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// What the evidence must answer; without it freshness is not appraised.
    pub nonce: Option<&'a [u8]>,
    /// The roots that count, and no others.
    pub roots: &'a Roots,
}

/// Appraises `documents` together.
#[must_use]
pub fn appraise(documents: &[Document<'_>], settings: &Settings<'_>) -> Report {
    let mut findings = Findings::default();
    let parts = Parts::recognise(documents, &mut findings);
    let kind = Kind::of(&parts);
    if let Some(kind) = kind {
        parts.belong(kind, &mut findings);
        if settings.nonce.is_some() && !kind.answers() {
            findings.missing("an answer", "evidence that was made for a nonce: this kind answers none");
        }
        if let Some((part, why)) = kind.lacks(&parts) {
            findings.missing(part, why);
        }
    }
    match kind {
        Some(Kind::AzureVtpm) => azure::appraise(&parts, settings, &mut findings),
        Some(Kind::Nitro | Kind::NitroTpm) => nitro::appraise(&parts, settings, &mut findings),
        Some(Kind::TdxQuote) => tdx::appraise(&parts, settings, &mut findings),
        Some(Kind::Ccel) => ccel::appraise(&parts, settings, &mut findings),
        Some(Kind::SnpReport) => snp::appraise(&parts, settings, &mut findings),
        Some(Kind::TpmQuote) => quote::appraise(&parts, settings, &mut findings),
        Some(Kind::Ima) => ima::appraise(&parts, settings, &mut findings),
        Some(Kind::TcgEventLog) => eventlog::appraise(&parts, settings, &mut findings),
        Some(Kind::EatEar) => eat::appraise(&parts, settings, &mut findings),
        Some(Kind::TpmEk) => ek::appraise(&parts, settings, &mut findings),
        None => findings.nothing_recognised(),
    }
    findings.conclude(kind)
}
