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
use crate::tpm::signer::Signer;
use crate::tpm::structures::Signature;
use rules::QUOTE_SIGNATURES;

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let signed = Signed::of(parts, findings);
    let key = key::find(parts, settings, findings);
    let pcrs = parts.pcrs(findings);
    let nonce = parts.nonce(settings.nonce, findings);
    let Some(signed) = signed else {
        return findings.missing("quote.attest", "the TPMS_ATTEST that the TPM signed");
    };
    signed.tell(findings);
    let selected = signed.selected().collect::<Vec<_>>();
    match &pcrs {
        Some((files, pcrs)) => {
            findings.claim("pcrs", pcrs.to_json(|bank, index| selected.iter().any(|(of, set)| *of == bank && set.contains(index))));
            files.iter().for_each(|file| findings.anchor(format!("as given: {file}")));
        }
        None => findings.missing("pcrs", "the values of the quoted registers: the quote has only their digest"),
    }
    if let Some(key) = key {
        signatures(parts, &key, findings);
        signed.appraise(&key, pcrs.as_ref().map(|(_, pcrs)| pcrs), nonce.as_deref(), findings);
    }
    compare_logs(parts, &signed, pcrs.as_ref(), findings);
}

/// Every signature that came along is one of the quote or of the key's creation.
pub(super) fn signatures(parts: &Parts<'_>, key: &Signer, findings: &mut Findings) {
    let messages = parts.each(|item| if let Item::Attest(attest) = item { Some(*attest) } else { None }).map(|(_, attest)| attest);
    let messages = messages.collect::<Vec<_>>();
    let bytes = |item: &Item<'_>| if let Item::TpmSignature(bytes) = item { Some(bytes.to_vec()) } else { None };
    let all = parts.each(bytes).collect::<Vec<_>>();
    let of_these = |bytes: &[u8]| Signature::parse(bytes).is_ok_and(|one| messages.iter().any(|message| key.verifies(message, &one)));
    if all.len() > 1 {
        let stranger = all.iter().find(|(_, bytes)| !of_these(bytes));
        let found = stranger.map_or_else(|| "no other".to_owned(), |(file, _)| format!("{file}, a signature of nothing here"));
        findings.authenticity.record(&QUOTE_SIGNATURES, stranger.is_none(), "signatures of the attestations here", found);
    }
}

/// Holds the boot log and the IMA list beside a quote against the values of the quoted registers.
pub(super) fn compare_logs(parts: &Parts<'_>, signed: &Signed<'_>, pcrs: Option<&(Vec<&str>, Pcrs)>, findings: &mut Findings) {
    match pcrs {
        Some((files, pcrs)) => {
            log::compare(parts, signed, pcrs, findings);
            ima::beside_quote(parts, (files.first().copied().unwrap_or_default(), pcrs), signed.selected(), findings);
        }
        None if parts.items().any(|item| matches!(item, Item::EventLog(_) | Item::ImaAscii(_) | Item::ImaBinary(_))) => {
            findings.missing("pcrs", "the values of the quoted registers, which the log has to lead to");
        }
        None => {}
    }
}
