//! An SEV-SNP guest without a TPM: the processor's report over the binding, which a key of the guest signs besides.

use podseal_protocol::{
    Digest, Profile,
    binding::{node_key_message, report_data},
    evidence::{Evidence, Part},
};

use super::{Launch, Machine, NodeKey, Question, formed, is_known, part, rules};
use crate::{
    check::Checks,
    claims::Memory,
    snp::{
        self, Body, CertificateTable, Evidence as SnpEvidence, Facts, Policy, Product, REVOCATION_RULES, Report, Revocation, Trust,
        Unproven, Vek, appraise_policy, appraise_report,
    },
    x509::{parse, pem},
};
use std::{borrow::Cow, collections::BTreeSet};
use x509_parser::prelude::X509Certificate;

pub(super) fn prove(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    let identity = own_key_signed(evidence, question, checks)?;
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
    Some(Machine {
        root: Some((root.0.to_owned(), root.1)),
        memory: Memory::Snp,
        tpm_in_tee: false,
        registers: None,
        launch: Some(launch(body)),
        counters: None,
        start: Digest::of(&body.report_id),
        report: Digest([0; 32]),
        identity: Some(identity),
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
    let lists = lists(&report.body, &certificates, question, checks);
    let revocation = Revocation { lists: &lists, demanded: !lists.is_empty(), ..Revocation::default() };
    let trust = Trust { roots: question.hardware.roots(), now: question.now, revocation };
    let evidence = SnpEvidence { report: &report, certificates: &certificates, report_data: data };
    match appraise_report(&evidence, &trust, checks) {
        Ok(facts) => (appraise_policy(&facts, policy, checks) && !lists.is_empty()).then_some(facts),
        Err(Unproven::Failed) => None,
        Err(Unproven::Lacks(lacking)) => {
            let why = question.endorsements.gaps();
            checks.not_appraised(&rules::ENDORSED, format!("no certificate of the {}{why}", lacking.as_str()));
            None
        }
    }
}

/// What AMD withdrew of the report's generation. A report that comes without this proves nothing, though nothing is wrong with it.
fn lists<'q>(body: &Body, certificates: &[X509Certificate<'_>], question: &Question<'q>, checks: &mut Checks) -> Vec<&'q [u8]> {
    checks.also_owing(&REVOCATION_RULES);
    let of_key = || certificates.iter().filter_map(|certificate| Some(Vek::parse(certificate).ok()?.product)).collect();
    let products: BTreeSet<Product> = body.product().map_or_else(of_key, |product| BTreeSet::from([product]));
    let lists = products.iter().flat_map(|product| question.endorsements.amd_lists(*product)).collect::<Vec<_>>();
    if lists.is_empty() {
        checks.not_appraised(&rules::ENDORSED, format!("no revocation list of AMD's root{}", question.endorsements.gaps()));
    }
    lists
}

/// The entries of a host's table, which come in DER or in PEM.
pub(super) fn ders<'t>(table: &CertificateTable<'t>) -> Vec<Cow<'t, [u8]>> {
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
    let unique = ders.collect::<BTreeSet<_>>();
    unique.into_iter().filter_map(parse).collect()
}

pub(super) fn launch(body: &Body) -> Launch {
    let signer = (body.id_key_digest != [0; 48]).then_some((body.id_key_digest, body.guest_svn));
    Launch { measurement: body.measurement, signer }
}

/// The machine whose own key signed the binding. A report that none signed is some guest's, and nobody looks at it.
pub(super) fn own_key_signed(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Digest> {
    let NodeKey::Own { key, digest } = question.key else { return None };
    let signature = part(evidence, |part| if let Part::NodeKey(signature) = part { Some(signature) } else { None });
    let Some(signature) = signature else {
        checks.not_appraised(&rules::KEY_SIGNATURE, "the evidence has no signature of the node key");
        return None;
    };
    let holds = key.verifies(&node_key_message(&question.binding), signature);
    let found = if holds { "a signature by this key" } else { "one that is not this key's over this binding" };
    let signed = checks.record(&rules::KEY_SIGNATURE, holds, format!("a signature by {digest}"), found);
    (signed && is_known(*digest, question, checks)).then_some(*digest)
}
