//! A TPM's quote under a key as given, or under one that a maker certified.

mod key;
mod log;
mod rules;
mod signed;

pub(super) use signed::Signed;

use super::findings::Findings;
use super::parts::{Item, Parts};
use super::pcrs::Pcrs;
use super::{Settings, ima};

/// Compares the boot log that came along with the quoted registers; without their values nothing proves it.
pub(super) fn compare_log(parts: &Parts<'_>, signed: &Signed<'_>, pcrs: Option<&Pcrs>, findings: &mut Findings) {
    match pcrs {
        Some(pcrs) => log::compare(parts, signed, pcrs, findings),
        None if parts.items().any(|item| matches!(item, Item::EventLog(_))) => {
            findings.missing("pcrs", "the values of the quoted registers: without them the boot log is proved by nothing");
        }
        None => {}
    }
}

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let signed = Signed::of(parts, findings);
    let key = key::find(parts, settings, findings);
    let pcrs = parts.only("file of PCR values", findings, |item| if let Item::Pcrs(pcrs) = item { Some(pcrs) } else { None });
    let nonce = parts.nonce(settings.nonce, findings);
    let Some(signed) = signed else {
        return findings.missing("quote.attest", "the TPMS_ATTEST that the TPM signed");
    };
    signed.tell(findings);
    match pcrs {
        Some((file, pcrs)) => {
            findings.claim("pcrs", pcrs.to_json());
            findings.anchor(format!("as given: {file}"));
        }
        None => findings.missing("pcrs", "the values of the quoted registers: the quote has only their digest"),
    }
    if let Some(key) = key {
        signed.appraise(&key, pcrs.map(|(_, pcrs)| pcrs), nonce.as_deref(), findings);
    }
    if let Some(pcrs) = pcrs {
        log::compare(parts, &signed, pcrs.1, findings);
        ima::beside_quote(parts, pcrs, signed.selected(), findings);
    }
}
