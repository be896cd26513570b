//! An EC2 instance with `NitroTPM`: the hypervisor's document over the binding, with the TPM's registers.
//!
//! A quote of such a TPM has no maker's root; the document has, and names the instance.

use podseal_protocol::{
    Bank, Digest,
    evidence::{Evidence, Part},
};

use super::{Machine, Question, formed, is_known, part, rules, tpm::wanted};
use crate::{
    check::Checks,
    claims::Memory,
    cose::Sign1,
    nitro::{Document, Expected, Facts, Source, appraise_document, appraise_policy},
    tpm::PcrValues,
};

pub(super) fn prove(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    let Some(bytes) = part(evidence, |part| if let Part::NitroDocument(document) = part { Some(document) } else { None }) else {
        checks.not_appraised(&rules::FORM, "the evidence has no attestation document");
        return None;
    };
    let message = formed("COSE_Sign1 message", Sign1::parse(bytes), checks)?;
    let document = formed("attestation document", Document::parse(&message), checks)?;
    checks.also_owing(&[&crate::nitro::rules::NONCE]);
    let nonce = Some(question.binding.as_ref());
    let expected = Expected { roots: question.hardware.roots(), now: question.now, nonce, beside: &[], lists: &[] };
    let facts = appraise_document(&document, &expected, checks)?;
    // Whose it is is told before what is wrong with it: an instance's own document that policy refuses is its failure, and nobody else's.
    let identity = Digest::of(document.module_id().as_bytes());
    let known = is_known(identity, question, checks);
    let of_tpm = document.source() == Source::NitroTpm;
    let found = document.source().field();
    let mut holds = checks.record(&rules::NITRO_SOURCE, of_tpm, Source::NitroTpm.field(), found);
    holds &= appraise_policy(&facts, &question.hardware.policy().nitro, checks);
    let registers = registers(&facts, evidence, checks)?;
    let anchor = facts.anchor();
    (holds && known).then(|| Machine {
        root: Some((anchor.name.clone(), anchor.kind)),
        // Such an instance does not keep its memory from anybody.
        memory: Memory::None,
        tpm_in_tee: false,
        registers: Some(registers),
        launch: None,
        counters: None,
        start: Digest::of(evidence.boot_id.as_bytes()),
        report: Digest([0; 32]),
        identity: Some(identity),
    })
}

fn registers(facts: &Facts<'_, '_>, evidence: &Evidence, checks: &mut Checks) -> Option<PcrValues> {
    let wanted = wanted(evidence)?;
    let mut values = PcrValues::new(Bank::Sha384);
    let whole = wanted.iter().all(|index| facts.document().pcr(index).is_some_and(|value| values.insert(index, value)));
    checks.record(&rules::NITRO_REGISTERS, whole, format!("sha384:{wanted}"), format!("sha384:{}", values.set())).then_some(values)
}
