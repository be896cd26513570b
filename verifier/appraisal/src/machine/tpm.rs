//! A TPM 2.0: the quote under the node's AK.

use podseal_protocol::{
    Bank, Digest,
    evidence::{Evidence, Part},
};

use super::{Machine, QUOTED_REGISTERS, Question, part};
use crate::{
    check::Checks,
    claims::Memory,
    continuity::Counters,
    pod_log::Presented,
    tpm::{
        PcrSet, PcrValues,
        quote::{self, QUOTE_SIGNATURE, QuoteEvidence, QuoteFacts, appraise_quote},
    },
};

/// The bank that is quoted.
const BANK: Bank = Bank::Sha256;

pub(super) fn prove(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    let quoted = quoted(evidence, question, checks)?;
    Some(Machine {
        root: None,
        memory: Memory::None,
        tpm_in_tee: false,
        counters: Some(Counters::of(&quoted)),
        registers: Some(quoted.pcrs().clone()),
        launch: None,
        start: Digest([0; 32]),
        report: Digest([0; 32]),
        // No other TPM loads the AK, and enrolment saw it in the EK's.
        identity: None,
    })
}

/// The registers that evidence has to prove.
pub(super) fn wanted(evidence: &Evidence) -> Option<PcrSet> {
    let boot = PcrSet::of(QUOTED_REGISTERS)?;
    if Presented::of(evidence).is_some() { boot.with(podseal_protocol::pod_log::REGISTER) } else { Some(boot) }
}

/// The quote, appraised under the key of `question`.
pub(super) fn quoted(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<QuoteFacts> {
    checks.also_owing(&quote::RULES);
    let ak = question.key.ak()?;
    let found = part(evidence, |part| match part {
        Part::TpmQuote { attest, signature, pcrs } => Some((attest, signature, pcrs)),
        _ => None,
    });
    let Some((attest, signature, pcrs)) = found else {
        checks.not_appraised(&QUOTE_SIGNATURE, "the evidence has no TPM quote");
        return None;
    };
    let mut values = PcrValues::new(BANK);
    if !pcrs.iter().all(|(index, value)| values.insert(*index, &value.0)) {
        return None;
    }
    let evidence_of = QuoteEvidence { attest, signature, values: &values };
    appraise_quote(ak, &evidence_of, &question.binding.0, wanted(evidence)?, checks)
}
