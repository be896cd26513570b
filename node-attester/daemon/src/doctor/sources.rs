//! Each source: where it is, and how it is asked.

use std::{io, path::Path};

use podseal_protocol::{Digest, evidence::Part, hex};
use rustix::io::Errno;
use tss_esapi::Context;

use super::{Finding, Questions};
use crate::{
    collect::{
        CollectError, ReportData, azure, certificates, nitro_tpm, nsm,
        nsm_message::Request,
        sev_guest, snp, tdx,
        tsm::{Provider, Tsm},
    },
    config::Tcti,
    owner,
};

/// The evidence; none where the machine does not have the source; or what is wrong and what to do.
pub(super) type Answer = Result<Option<Finding>, String>;
pub(super) type Ask = fn(&Questions, &ReportData) -> Answer;

pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) place: fn(&Questions) -> String,
    pub(super) ask: Ask,
}

/// In the order in which they are asked.
pub(super) const SOURCES: &[Kind] = &[
    Kind { name: "configfs-tsm", place: |asked| shown(&asked.evidence.tsm), ask: by_tsm },
    Kind { name: "sev-guest", place: |asked| shown(&asked.evidence.sev_guest), ask: by_sev_guest },
    Kind { name: "tdx-ccel", place: |asked| shown(&asked.evidence.ccel), ask: ccel },
    Kind { name: "tdx-rtmr3", place: |asked| shown(&asked.evidence.rtmr), ask: rtmr },
    Kind { name: "nsm", place: |asked| shown(&asked.evidence.nsm), ask: by_nsm },
    Kind { name: "nitro-tpm", place: |asked| asked.tcti.to_string(), ask: by_nitro_tpm },
    Kind { name: "azure-vtpm", place: |asked| asked.tcti.to_string(), ask: by_azure },
];

/// What belongs to the TEE's report.
const TEE: &str = "tee";

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn said<E: ToString>(error: E) -> String {
    error.to_string()
}

fn nonce(bytes: &[u8]) -> (&'static str, Vec<u8>) {
    ("nonce.hex", hex::encode(bytes).into_bytes())
}

fn by_tsm(asked: &Questions, data: &ReportData) -> Answer {
    let folder = asked.evidence.tsm.clone();
    if !folder.exists() {
        return Ok(None);
    }
    let tsm = Tsm { folder, entry: "podseal-doctor", privlevel: asked.evidence.privlevel };
    let report = match tsm.collect(data) {
        Ok(report) => report,
        Err(CollectError::File { problem, .. }) if is_without_provider(&problem) => return Ok(None),
        Err(error) => return Err(said(error)),
    };
    let mut finding = Finding { folder: TEE, files: vec![nonce(data)], ..Finding::default() };
    finding.facts.push(("provider", report.provider.as_str().to_owned()));
    finding.facts.push(("generation", report.generation.to_string()));
    match report.provider {
        Provider::SevGuest => add_snp(&mut finding, report.report, report.auxiliary.as_deref(), data, &tsm.folder)?,
        Provider::TdxGuest => finding.files.push(("quote.bin", report.report)),
        Provider::Other(_) => finding.files.push(("outblob.bin", report.report)),
    }
    Ok(Some(finding))
}

/// Linux, drivers/virt/coco: making an entry without a guest driver that gives reports.
fn is_without_provider(problem: &io::Error) -> bool {
    problem.raw_os_error() == Some(Errno::NXIO.raw_os_error())
}

/// Only where there is no configfs-tsm, which has the same reports.
fn by_sev_guest(asked: &Questions, data: &ReportData) -> Answer {
    let path = &asked.evidence.sev_guest;
    if asked.evidence.tsm.exists() || !path.exists() {
        return Ok(None);
    }
    let report = sev_guest::collect(path, data, asked.evidence.privlevel.unwrap_or(0)).map_err(said)?;
    let mut finding = Finding { folder: TEE, files: vec![nonce(data)], ..Finding::default() };
    add_snp(&mut finding, report.report, report.certificates.as_deref(), data, path)?;
    Ok(Some(finding))
}

fn add_snp(finding: &mut Finding, report: Vec<u8>, table: Option<&[u8]>, data: &ReportData, path: &Path) -> Result<(), String> {
    snp::answers(path, &report, data).map_err(said)?;
    let entries = certificates::entries(table.unwrap_or(&[0; 24])).map_err(said)?;
    let kinds: Vec<_> = entries.iter().map(|entry| format!("{:?}", entry.kind).to_uppercase()).collect();
    let has_key = entries.iter().any(|entry| matches!(entry.kind, certificates::Kind::Vcek | certificates::Kind::Vlek));
    finding.facts.push(("certificates", if kinds.is_empty() { "none from the host".to_owned() } else { kinds.join(", ") }));
    if let Some(about) = snp::about(&report) {
        finding.facts.push(("report", format!("version {}, VMPL {}", about.version, about.vmpl)));
        finding.facts.push(("signed by", if about.vlek { "VLEK" } else { "VCEK" }.to_owned()));
        finding.facts.extend(about.generation.map(|generation| ("generation of CPU", generation)));
        finding.facts.extend(about.chip_id.map(|chip| ("chip id", chip)));
        finding.facts.extend(about.vcek_url.filter(|_| !has_key).map(|url| ("VCEK is at", url)));
    }
    finding.files.push(("report.bin", report));
    for entry in entries {
        if let Some(name) = entry.kind.file().filter(|name| !finding.files.iter().any(|(known, _)| known == name)) {
            finding.files.push((name, entry.bytes.to_vec()));
        }
    }
    Ok(())
}

fn ccel(asked: &Questions, _: &ReportData) -> Answer {
    let (table, log) = (&asked.evidence.ccel_table, &asked.evidence.ccel);
    if !table.exists() && !log.exists() {
        return Ok(None);
    }
    let found = tdx::ccel(table, log, asked.limits.evidence_part).map_err(said)?;
    Ok(Some(Finding { folder: TEE, files: vec![("ccel_table.bin", found.table), ("ccel.bin", found.log)], ..Finding::default() }))
}

/// Read, never extended.
fn rtmr(asked: &Questions, _: &ReportData) -> Answer {
    let path = &asked.evidence.rtmr;
    if !path.exists() {
        return Ok(None);
    }
    let value = tdx::Rtmr(path.clone()).value().map_err(said)?;
    Ok(Some(Finding { facts: vec![("RTMR 3", hex::encode(&value))], folder: TEE, ..Finding::default() }))
}

fn by_nsm(asked: &Questions, data: &ReportData) -> Answer {
    let path = &asked.evidence.nsm;
    if !path.exists() {
        return Ok(None);
    }
    let document = nsm::collect(path, &Request { nonce: Some(data), ..Request::default() }).map_err(said)?;
    Ok(Some(Finding { folder: "nitro", files: vec![nonce(data), ("document.cose", document)], ..Finding::default() }))
}

/// Whether there is a TPM to ask; one that is configured has to be there.
fn has_tpm(asked: &Questions) -> bool {
    match &asked.tcti {
        Tcti::Device(path) => asked.tpm_configured || path.exists(),
        Tcti::Swtpm { .. } => true,
    }
}

fn by_nitro_tpm(asked: &Questions, data: &ReportData) -> Answer {
    if !has_tpm(asked) || !nitro_tpm::is_there(&asked.tcti).map_err(said)? {
        return Ok(None);
    }
    let document = nitro_tpm::collect(&asked.tcti, &Request { nonce: Some(data), ..Request::default() }).map_err(said)?;
    Ok(Some(Finding { folder: "nitrotpm", files: vec![nonce(data), ("document.cose", document)], ..Finding::default() }))
}

fn by_azure(asked: &Questions, data: &ReportData) -> Answer {
    if !has_tpm(asked) {
        return Ok(None);
    }
    let mut context = owner::connect(&asked.tcti).map_err(said)?;
    if !azure::is_there(&mut context) { Ok(None) } else { azure_evidence(asked, data, &mut context).map(Some) }
}

fn azure_evidence(asked: &Questions, data: &ReportData, context: &mut Context) -> Result<Finding, String> {
    let evidence = azure::collect(context, data, asked.evidence.azure_wait).map_err(said)?;
    let quoted = Digest::of(data);
    let quote = azure::quote(context, &asked.pcrs, &quoted).map_err(said)?;
    let mut finding = Finding { folder: "azure", files: vec![nonce(quoted.as_ref())], ..Finding::default() };
    finding.facts.push(("user data", hex::encode(data)));
    let certificate = evidence.ak_certificate.as_ref().map_or("none".to_owned(), |der| format!("{} bytes", der.len()));
    finding.facts.push(("AK certificate", certificate));
    finding.files.extend([("hcl_report.bin", evidence.hcl_report), ("ak.tpmt_public", evidence.ak_public)]);
    finding.files.extend(evidence.ak_certificate.map(|der| ("ak_cert.der", der)));
    if let Part::TpmQuote { attest, signature, pcrs } = quote {
        let values: Vec<_> = pcrs.iter().map(|(index, value)| format!("\"{index}\": \"{value}\"")).collect();
        let values = format!("{{\"sha256\": {{{}}}}}", values.join(", ")).into_bytes();
        finding.files.extend([("quote.attest", attest), ("quote.sig", signature), ("pcrs_sha256.json", values)]);
    }
    Ok(finding)
}
