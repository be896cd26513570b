//! An SEV-SNP guest without a TPM: the processor's report over the binding, which a key of the guest signs besides.

use podseal_protocol::{
    Digest, Profile,
    binding::{node_key_message, report_data},
    evidence::{Evidence, Part},
};

use super::{Launch, Machine, NodeKey, Question, formed, part, rules};
use crate::{
    check::Checks,
    claims::Memory,
    snp::{
        self, Body, CertificateTable, Evidence as SnpEvidence, Facts, Policy, Report, Revocation, Trust, Unproven, appraise_policy,
        appraise_report,
    },
    x509::{parse, pem},
};
use std::borrow::Cow;
use x509_parser::prelude::X509Certificate;

pub(super) fn prove(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    let signed = own_key_signed(evidence, question, checks);
    let data = report_data(&question.binding, Profile::Snp);
    let Some((report, table)) = part(evidence, |part| match part {
        Part::SnpReport { report, certificates } => Some((report, certificates)),
        _ => None,
    }) else {
        checks.not_appraised(&rules::FORM, "the evidence has no SEV-SNP report");
        return None;
    };
    let table = formed("table of certificates", CertificateTable::parse(table), checks)?;
    let facts = appraise(report, Some(&data), &table, &question.hardware.policy().snp, question, checks)?;
    let body = facts.body();
    let root = facts.root();
    signed.then(|| Machine {
        root: Some((root.0.to_owned(), root.1)),
        memory: Memory::Snp,
        tpm_in_tee: false,
        registers: None,
        launch: Some(launch(body)),
        counters: None,
        start: Digest::of(&body.report_id),
        report: Digest([0; 32]),
        identity: question.key.machine(),
    })
}

/// A report up to its root and through the policy; with the certificates of `table` and those that the maker endorses.
pub(super) fn appraise(
    report: &[u8],
    data: Option<&[u8]>,
    table: &CertificateTable<'_>,
    policy: &Policy,
    question: &Question<'_>,
    checks: &mut Checks,
) -> Option<Facts> {
    checks.also_owing(&snp::RULES);
    let report = formed("SEV-SNP report", Report::parse(report), checks)?;
    let given = ders(table);
    let certificates = distinct(given.iter().map(AsRef::as_ref).chain(question.endorsements.certificates()));
    let lists = question.endorsements.lists().collect::<Vec<_>>();
    let revocation = Revocation { lists: &lists, ..Revocation::default() };
    let trust = Trust { roots: question.hardware.roots(), now: question.now, revocation };
    let evidence = SnpEvidence { report: &report, certificates: &certificates, report_data: data };
    match appraise_report(&evidence, &trust, checks) {
        Ok(facts) => appraise_policy(&facts, policy, checks).then_some(facts),
        Err(Unproven::Failed) => None,
        Err(Unproven::Lacks(lacking)) => {
            let why = question.endorsements.gaps();
            checks.not_appraised(&rules::ENDORSED, format!("no certificate of the {}{why}", lacking.as_str()));
            None
        }
    }
}

/// The entries of a host's table, which come in DER or in PEM.
fn ders<'t>(table: &CertificateTable<'t>) -> Vec<Cow<'t, [u8]>> {
    let each = table.entries.iter().flat_map(|entry| {
        let blocks = std::str::from_utf8(entry).ok().and_then(|text| pem::blocks(text).ok()).filter(|blocks| !blocks.is_empty());
        match blocks {
            Some(blocks) => blocks.into_iter().map(|(_, der)| Cow::Owned(der)).collect(),
            None => vec![Cow::Borrowed(*entry)],
        }
    });
    each.collect()
}

/// Each certificate once.
fn distinct<'d>(ders: impl Iterator<Item = &'d [u8]>) -> Vec<X509Certificate<'d>> {
    let unique = ders.collect::<std::collections::BTreeSet<_>>();
    unique.into_iter().filter_map(parse).collect()
}

pub(super) fn launch(body: &Body) -> Launch {
    let signer = (body.id_key_digest != [0; 48]).then_some((body.id_key_digest, body.guest_svn));
    Launch { measurement: body.measurement, signer }
}

/// Whether the node's own key signed the binding.
pub(super) fn own_key_signed(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> bool {
    let NodeKey::Own { key, digest } = question.key else { return false };
    let signature = part(evidence, |part| if let Part::NodeKey(signature) = part { Some(signature) } else { None });
    let Some(signature) = signature else {
        checks.not_appraised(&rules::KEY_SIGNATURE, "the evidence has no signature of the node key");
        return false;
    };
    let holds = key.verifies(&node_key_message(&question.binding), signature);
    let found = if holds { "a signature by this key" } else { "one that is not this key's over this binding" };
    checks.record(&rules::KEY_SIGNATURE, holds, format!("a signature by {digest}"), found)
}
