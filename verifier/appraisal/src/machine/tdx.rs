//! A TD: its quote over the binding, which a key of the guest signs besides.

use podseal_protocol::{
    Bank, Digest, Profile,
    binding::report_data,
    evidence::{Evidence, Part},
};

use super::{Launch, Machine, Question, formed, part, rules, snp::own_key_signed};
use crate::{
    check::Checks,
    claims::Memory,
    tdx::{
        COLLATERAL_RULES, Collateral, CollateralEvidence, GenuineQuote, POLICY_RULES, QUOTE_RULES, Quote, SignedJson, TCB_RULES,
        TdxEvidence, TdxFacts, appraise as appraise_tcb, appraise_certificates, appraise_lists, appraise_policy, appraise_quote,
    },
    tpm::PcrValues,
    x509::{Crl, parse},
};

pub(super) fn prove(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    let identity = own_key_signed(evidence, question, checks)?;
    let Some(bytes) = part(evidence, |part| if let Part::TdQuote(quote) = part { Some(quote) } else { None }) else {
        checks.not_appraised(&rules::FORM, "the evidence has no TDX quote");
        return None;
    };
    for owed in [QUOTE_RULES, COLLATERAL_RULES, TCB_RULES, POLICY_RULES] {
        checks.also_owing(owed);
    }
    let quote = formed("TDX quote", Quote::parse(bytes), checks)?;
    let chain = formed("chain of certificates", quote.chain(), checks)?;
    let data = report_data(&question.binding, Profile::Tdx);
    let evidence_of = TdxEvidence { quote: &quote, chain: &chain, certificates: &[], report_data: Some(&data) };
    let genuine = appraise_quote(&evidence_of, question.hardware.roots(), question.now, checks)?;
    let belong = appraise_certificates(&evidence_of, &genuine, checks);
    let facts = judged(&genuine, question, checks)?;
    let policy = question.hardware.policy().tdx();
    let wanted = appraise_policy(&facts, &policy, checks);
    let registers = registers(&facts)?;
    let anchor = facts.anchor();
    (belong && wanted).then(|| Machine {
        root: Some((anchor.0.to_owned(), anchor.1)),
        memory: Memory::Tdx,
        tpm_in_tee: false,
        registers: Some(registers),
        launch: Some(Launch { measurement: facts.body().mrtd, signer: None }),
        counters: None,
        // A TD has no number of its own: its kernel's, which the binding has, is the best there is.
        start: Digest::of(evidence.boot_id.as_bytes()),
        report: Digest([0; 32]),
        identity: Some(identity),
    })
}

/// The quote under what Intel says of such platforms.
fn judged(genuine: &GenuineQuote, question: &Question<'_>, checks: &mut Checks) -> Option<TdxFacts> {
    let endorsements = question.endorsements;
    let certificates = endorsements.certificates().filter_map(parse).collect::<Vec<_>>();
    let crls = endorsements.lists().filter_map(|der| Crl::parse(der).ok()).collect::<Vec<_>>();
    let belong = appraise_lists(&crls, genuine, checks);
    let evidence = CollateralEvidence {
        tcb_info: endorsements.tcb_info().and_then(|json| SignedJson::tcb_info(json).ok()),
        qe_identity: endorsements.qe_identity().and_then(|json| SignedJson::qe_identity(json).ok()),
        certificates: &certificates,
        crls: &crls,
    };
    for missing in evidence.missing(genuine) {
        checks.not_appraised(&rules::ENDORSED, format!("{}: {}{}", missing.as_str(), missing.why(), endorsements.gaps()));
    }
    let collateral = Collateral::verify(&evidence, genuine, question.hardware.roots(), question.now, checks)?;
    let facts = appraise_tcb(genuine, &collateral, &question.hardware.policy().tdx_floors(), question.now, checks);
    facts.filter(|_| belong)
}

/// RTMR0 to RTMR3 are measurement registers 1 to 4.
fn registers(facts: &TdxFacts) -> Option<PcrValues> {
    let mut values = PcrValues::new(Bank::Sha384);
    (1..).zip(&facts.body().rtmrs).all(|(index, rtmr)| values.insert(index, rtmr)).then_some(values)
}
