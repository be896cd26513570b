//! An SEV-SNP report with the certificates of its key.

#[cfg(test)]
mod tests;

use super::Settings;
use super::certificates;
use super::findings::Findings;
use super::parts::{Item, Parts};
use crate::calendar::rfc3339;
use crate::hex::encode as hex;
use crate::snp::{
    Body, CertificateTable, Evidence, Facts, Part, Policy, Product, RULES, Report, Revocation, Tcb, Trust, Unproven, Vek, VekKind,
    appraise_policy, appraise_report, appraise_set, choose,
};
use crate::x509::{Crl, parse, pem};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use x509_parser::prelude::X509Certificate;

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let report = parts.only("report", findings, |item| if let Item::SnpReport { report, .. } = item { Some(*report) } else { None });
    let Some((file, bytes)) = report else { return };
    let report = match Report::parse(bytes) {
        Ok(report) => report,
        Err(error) => return findings.malformed(file, error),
    };
    let collateral = Collateral::of(parts, findings);
    tell(&report, &collateral.certificates(), findings);
    let nonce = parts.nonce(settings.nonce, findings);
    prove(&report, nonce.as_deref(), &collateral, &Policy::default(), settings, findings);
}

/// The whole appraisal of a report: its facts where it is authentic. What the policy says of them is in `findings`, as everything else.
pub(super) fn prove(
    report: &Report<'_>,
    report_data: Option<&[u8]>,
    collateral: &Collateral<'_>,
    policy: &Policy,
    settings: &Settings<'_>,
    findings: &mut Findings,
) -> Option<Facts> {
    let (certificates, lists) = (collateral.certificates(), collateral.lists());
    let revocation = Revocation { lists: &lists, ..Revocation::default() };
    let trust = Trust { roots: settings.roots, now: settings.now, revocation };
    let evidence = Evidence { report, certificates: &certificates, report_data };
    findings.authenticity.also_owing(&RULES);
    match appraise_report(&evidence, &trust, &mut findings.authenticity) {
        Ok(facts) => {
            let (root, kind) = facts.root();
            findings.anchor(format!("{root} ({})", kind.as_str()));
            appraise_policy(&facts, policy, &mut findings.policy);
            let whole = appraise_set(&certificates, &facts, trust.roots, trust.now, &mut findings.authenticity);
            whole.then_some(facts)
        }
        Err(Unproven::Failed) => None,
        Err(Unproven::Lacks(part)) => {
            let (part, why) = lacking(part);
            findings.missing(part, why);
            None
        }
    }
}

fn lacking(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::Vcek => ("vcek", "the certificate of the chip's key, for this CHIP_ID and REPORTED_TCB: the signature is verified with it"),
        Part::Vlek => ("vlek", "the certificate of the cloud provider's key: the signature is verified with it"),
        Part::Ask => ("ask", "the certificate of the authority that certified the chip's key"),
        Part::Asvk => ("asvk", "the certificate of the authority that certified the cloud provider's key"),
        Part::Ark => ("ark", "the certificate of AMD's root, whose key is pinned"),
    }
}

/// Certificates and revocation lists, from files and from the host's table; each once.
#[derive(Default)]
pub(super) struct Collateral<'p> {
    certificates: BTreeSet<Cow<'p, [u8]>>,
    lists: BTreeSet<Cow<'p, [u8]>>,
}

impl<'p> Collateral<'p> {
    pub(super) fn of(parts: &'p Parts<'_>, findings: &mut Findings) -> Self {
        let mut collateral = Self::default();
        for item in parts.items() {
            match item {
                Item::Certificate(der) => _ = collateral.certificates.insert(Cow::Borrowed(der)),
                Item::Crl(der) => _ = collateral.lists.insert(Cow::Borrowed(der)),
                _ => {}
            }
        }
        for (file, table) in parts.each(|item| if let Item::SnpReport { table, .. } = item { Some(*table) } else { None }) {
            match CertificateTable::parse(table) {
                Ok(table) if table.entries.iter().all(|entry| collateral.add(entry)) => {}
                Ok(_) => findings.malformed(file, "an entry of its certificate table is no certificate; take the report again"),
                Err(error) => findings.malformed(file, error),
            }
        }
        if collateral.certificates.len() > certificates::MOST {
            certificates::too_many(findings);
        }
        collateral
    }

    /// Sorts an entry of a host's table in, in DER or in PEM; `false` if it is neither certificate nor list.
    fn add(&mut self, entry: &'p [u8]) -> bool {
        let blocks = std::str::from_utf8(entry).ok().and_then(|text| pem::blocks(text).ok()).filter(|blocks| !blocks.is_empty());
        let all = match blocks {
            Some(blocks) => blocks.into_iter().map(|(_, der)| Cow::Owned(der)).collect(),
            None => vec![Cow::Borrowed(entry)],
        };
        all.into_iter().all(|der| {
            let (certificate, list) = (parse(&der).is_some(), Crl::parse(&der).is_ok());
            let kept = if certificate { &mut self.certificates } else { &mut self.lists };
            if certificate || list {
                kept.insert(der);
            }
            certificate || list
        })
    }

    /// Leaves out the certificates that are for something else.
    pub(super) fn without(mut self, other: impl Fn(&X509Certificate<'_>) -> bool) -> Self {
        self.certificates.retain(|der| !parse(der).is_some_and(|certificate| other(&certificate)));
        self
    }

    fn certificates(&self) -> Vec<X509Certificate<'_>> {
        self.certificates.iter().take(certificates::MOST).filter_map(|der| parse(der)).collect()
    }

    fn lists(&self) -> Vec<&[u8]> {
        self.lists.iter().map(AsRef::as_ref).collect()
    }
}

/// Tells what report and certificate say, true or not.
fn tell(report: &Report<'_>, certificates: &[X509Certificate<'_>], findings: &mut Findings) {
    let certificate = choose(report, certificates).and_then(|place| certificates.get(place));
    let vek = certificate.and_then(|certificate| Some((certificate, Vek::parse(certificate).ok()?)));
    let certified = vek.as_ref().map(|(_, vek)| vek.product);
    for (name, value) in claims(&report.body, certified) {
        findings.claim(&name, value);
    }
    let Some((certificate, vek)) = vek else { return };
    let validity = certificate.validity();
    let csp_id = if let VekKind::Vlek { csp_id } = &vek.kind { Some(csp_id) } else { None };
    findings.claim(
        "vek_cert",
        json!({
            "kind": vek.kind_name(),
            "not_before": rfc3339(validity.not_before.timestamp()),
            "not_after": rfc3339(validity.not_after.timestamp()),
            "product_name": vek.product_name,
            "hwid": Vek::raw_hwid(certificate).map(hex),
            "csp_id": csp_id,
            "tcb": numbers(&vek.tcb),
        }),
    );
}

/// What a report says, by the names of `docs/AUDITING.md`; `certified` is the generation of the key's certificate, where one is there.
pub(super) fn claims(body: &Body, certified: Option<Product>) -> Map<String, Value> {
    let tcb = |bytes| numbers(&body.tcb(bytes, certified));
    let product = body.product().or(certified.filter(|_| body.cpuid.is_none()));
    let [minor, major, ..] = body.policy.to_le_bytes();
    let mut claims = Map::new();
    let mut tell = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    tell("version", body.version.into());
    tell("guest_svn", body.guest_svn.into());
    tell("policy", format!("{:#x}", body.policy).into());
    tell("family_id", hex(&body.family_id).into());
    tell("image_id", hex(&body.image_id).into());
    tell("vmpl", body.vmpl.into());
    tell("signature_algo", body.signature_algo.into());
    tell("current_tcb", hex(&body.current_tcb).into());
    tell("platform_info", format!("{:#x}", body.platform_info).into());
    tell("key_info", body.key_info.into());
    tell("report_data", hex(&body.report_data).into());
    tell("measurement", hex(&body.measurement).into());
    tell("host_data", hex(&body.host_data).into());
    tell("id_key_digest", hex(&body.id_key_digest).into());
    tell("author_key_digest", hex(&body.author_key_digest).into());
    tell("report_id", hex(&body.report_id).into());
    tell("report_id_ma", hex(&body.report_id_ma).into());
    tell("reported_tcb", hex(&body.reported_tcb).into());
    tell("chip_id", hex(&body.chip_id).into());
    tell("committed_tcb", hex(&body.committed_tcb).into());
    tell("current_version", body.current_version.to_string().into());
    tell("committed_version", body.committed_version.to_string().into());
    tell("launch_tcb", hex(&body.launch_tcb).into());
    tell("author_key_en", u8::from(body.author_key()).into());
    tell("mask_chip_key", u8::from(body.chip_key_masked()).into());
    tell("signing_key", body.signing_key().as_str().into());
    if let Some(cpuid) = body.cpuid {
        tell("cpuid_fam_mod_step", format!("{:02x}/{:02x}/{:02x}", cpuid.family, cpuid.model, cpuid.stepping).into());
    }
    if let Some([launch, current]) = body.mitigations {
        tell("launch_mit_vector", format!("{launch:#x}").into());
        tell("current_mit_vector", format!("{current:#x}").into());
    }
    tell("policy_debug", body.debug().into());
    tell("policy_smt", body.smt().into());
    tell("policy_migrate_ma", body.migration_agent().into());
    tell("abi", format!("{major}.{minor}").into());
    let all = json!({
        "reported": tcb(body.reported_tcb),
        "current": tcb(body.current_tcb),
        "committed": tcb(body.committed_tcb),
        "launch": tcb(body.launch_tcb),
    });
    tell("tcb", all);
    tell("product", product.map(Product::as_str).into());
    claims
}

/// A TCB version, part by part.
fn numbers(tcb: &Tcb) -> Value {
    let mut all = json!({ "bootloader": tcb.bootloader, "tee": tcb.tee, "snp": tcb.snp, "microcode": tcb.microcode });
    if let (Some(fmc), Some(all)) = (tcb.fmc, all.as_object_mut()) {
        all.insert("fmc".to_owned(), fmc.into());
    }
    all
}
