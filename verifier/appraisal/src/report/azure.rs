//! An Azure confidential VM: hardware report → runtime data → attestation key → quote → registers.

use super::findings::{Findings, REPORT_ONE_KIND};
use super::parts::{Item, Parts};
use super::quote::Signed;
use super::snp::Collateral;
use super::{Settings, certificates};
use crate::azure::{Hardware, HclReport, ONE_REPORT, RuntimeData, appraise_binding};
use crate::calendar::rfc3339;
use crate::check::Rule;
use crate::snp::{Policy, Report};
use crate::tdx::{Pck, Quote, pck_certificate};
use crate::tpm::signer::Signer;
use crate::{hex, x509};
use podseal_protocol::Digest;
use serde_json::{Value, json};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

/// The key given beside is the one that the hardware vouches for.
static GIVEN_KEY: Rule = Rule {
    name: "azure.given_key",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Send the AK's public key or certificate of this VM: the one given is another's.",
};

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let hcl = hcl(parts, findings);
    let alone = parts.only("runtime data", findings, |item| if let Item::RuntimeData(document) = item { Some(*document) } else { None });
    let signed = Signed::of(parts, findings);
    let (file, document) = match (&hcl, alone) {
        (Some((file, hcl)), None) => (*file, hcl.runtime_data),
        (Some((file, hcl)), Some((_, document))) if hcl.runtime_data == document => (*file, document),
        (None, Some((file, document))) => (file, document),
        (Some((file, _)), Some((other, _))) => {
            let found = format!("{file} and {other}");
            findings.authenticity.record(&super::findings::REPORT_ONE_OF_EACH, false, "one runtime data", found);
            return;
        }
        (None, None) => return findings.missing("hcl_report", "the HCL report of the vTPM, or its runtime data with the TD's quote"),
    };
    let runtime = match RuntimeData::parse(document) {
        Ok(runtime) => runtime,
        Err(error) => return findings.malformed(file, error),
    };
    findings.claim("runtime_data", serde_json::from_slice::<Value>(document).unwrap_or_default());
    findings.claim("runtime_data_sha256", Digest::of(document).to_string());
    let bound = hardware(parts, hcl.map(|(_, hcl)| hcl), document, settings, findings);
    if let Some(signed) = &signed {
        tell(signed, parts, findings);
    }
    let key = runtime.attestation_key(&mut findings.authenticity).cloned();
    let Some(key) = key.filter(|_| bound) else { return };
    if !given(parts, &key, findings) {
        return;
    }
    let Some(signed) = signed else {
        return findings.missing("quote.attest", "the quote under the attestation key of the runtime data");
    };
    let nonce = parts.nonce(settings.nonce, findings);
    let pcrs = parts.pcrs(findings);
    super::quote::signatures(parts, &key, findings);
    signed.appraise(&key, pcrs.as_ref().map(|(_, pcrs)| pcrs), nonce.as_deref(), findings);
    super::quote::compare_logs(parts, &signed, pcrs.as_ref(), findings);
}

fn hcl<'a>(parts: &Parts<'a>, findings: &mut Findings) -> Option<(&'a str, HclReport<'a>)> {
    let (file, bytes) = parts.only("HCL report", findings, |item| if let Item::HclReport(bytes) = item { Some(*bytes) } else { None })?;
    let hcl = HclReport::parse(bytes).map_err(|error| findings.malformed(file, error)).ok()?;
    findings.claim("hcl_version", hcl.version);
    findings.claim("hw_report_type", if matches!(hcl.hardware, Hardware::Snp(_)) { "snp" } else { "tdx" });
    findings.claim("hash_type", "sha256");
    findings.claim("hw_report_data", hcl.report_data().map_or(Value::Null, |data| Value::from(hex::encode(data))));
    Some((file, hcl))
}

/// The hardware's own word for the document: an SNP report inside the HCL's, or the TD's quote beside it.
fn hardware(parts: &Parts<'_>, hcl: Option<HclReport<'_>>, document: &[u8], settings: &Settings<'_>, findings: &mut Findings) -> bool {
    let quote = parts.only("TDX quote", findings, |item| if let Item::TdxQuote(quote) = item { Some(*quote) } else { None });
    let reported = hcl.as_ref().and_then(HclReport::report_data);
    match (hcl.map(|hcl| hcl.hardware), quote) {
        (Some(Hardware::Snp(bytes)), _) => {
            of_no_td(parts, findings);
            let report = match Report::parse(bytes) {
                Ok(report) => report,
                Err(error) => {
                    findings.malformed("the SNP report of the HCL report", error);
                    return false;
                }
            };
            findings.claim("snp", Value::Object(super::snp::claims(&report.body, None)));
            let bound = appraise_binding(document, &report.body.report_data, &mut findings.authenticity);
            let collateral = Collateral::of(parts, findings).without(is_of_a_tpm);
            super::snp::prove(&report, None, &collateral, &Policy { most_vmpl: 0, ..Policy::default() }, settings, findings);
            bound
        }
        (_, Some((file, bytes))) => {
            let quote = match Quote::parse(bytes) {
                Ok(quote) => quote,
                Err(error) => {
                    findings.malformed(file, error);
                    return false;
                }
            };
            td(file, &quote, parts, settings, findings);
            if let Some(reported) = reported {
                let same = *reported == quote.body.reportdata;
                findings.authenticity.record(&ONE_REPORT, same, hex::encode(reported), hex::encode(&quote.body.reportdata));
            }
            appraise_binding(document, &quote.body.reportdata, &mut findings.authenticity)
        }
        (_, None) => {
            findings.missing("td_quote", "the TD's quote over the runtime data: only the machine itself can check a TDREPORT");
            reported.is_some_and(|reported| appraise_binding(document, reported, &mut findings.authenticity))
        }
    }
}

/// Parts about a TD say nothing about a VM on SEV-SNP: whoever sends both sends evidence of two machines.
fn of_no_td(parts: &Parts<'_>, findings: &mut Findings) {
    let about_td = |item| if matches!(item, &Item::TdxQuote(_) | &Item::TcbInfo(_) | &Item::QeIdentity(_)) { Some(()) } else { None };
    if let Some((file, ())) = parts.each(about_td).next() {
        let found = format!("{file}, which is about a TD");
        findings.authenticity.record(&REPORT_ONE_KIND, false, "parts of a VM on SEV-SNP", found);
    }
}

fn td(file: &str, quote: &Quote<'_>, parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    findings.claim("td", super::tdx::tell_body(&quote.body));
    let Some(chain) = super::tdx::chain(file, quote, findings) else { return };
    if let Some(pck) = pck_certificate(&chain, &[]).and_then(Pck::of) {
        findings.claim("fmspc", hex::encode(&pck.fmspc));
    }
    super::tdx::appraise_parts(parts, quote, &chain, None, is_of_a_tpm, settings, findings);
}

/// What the quote says, by the names that this kind has for it.
fn tell(signed: &Signed<'_>, parts: &Parts<'_>, findings: &mut Findings) {
    signed.tell(findings);
    findings.claim("nonce", hex::encode(signed.extra_data()));
    let pcrs = parts.each(|item| if let Item::Pcrs(pcrs) = item { Some(pcrs) } else { None }).next();
    if let Some(bank) = pcrs.and_then(|(_, pcrs)| pcrs.to_json(|_, _| true).get("sha256").cloned()) {
        findings.claim("pcrs_sha256", bank);
    }
}

/// Bare key and certificate that came along: they add nothing, and must not be another's.
fn given(parts: &Parts<'_>, key: &Signer, findings: &mut Findings) -> bool {
    const WANTED: &str = "the HCLAkPub of the runtime data";
    let mut holds = true;
    let keys = || parts.each(|item| if let Item::PublicKey(spki) = item { Some(spki) } else { None });
    if let Some((file, _)) = keys().next() {
        let other = keys().find(|(_, spki)| ***spki != *key.spki());
        let found = other.map_or_else(|| file.to_owned(), |(file, _)| format!("another key in {file}"));
        holds &= findings.authenticity.record(&GIVEN_KEY, other.is_none(), WANTED, found);
    }
    let certified = || certificates::each(parts).filter(is_of_a_tpm);
    if let Some(certificate) = certified().next() {
        let other = certified().find(|certificate| certificate.public_key().raw != key.spki());
        let subject = x509::rfc4514(other.as_ref().unwrap_or(&certificate).subject());
        findings.claim(
            "ak_cert",
            json!({
                "subject": subject,
                "not_before": rfc3339(certificate.validity().not_before.timestamp()),
                "not_after": rfc3339(certificate.validity().not_after.timestamp()),
                // What follows a certificate makes it none.
                "trailing_bytes_after_der": 0,
            }),
        );
        holds &= findings.authenticity.record(&GIVEN_KEY, other.is_none(), WANTED, subject);
    }
    holds
}

/// Whether a certificate can be that of the attestation key: AMD's and Intel's for their reports' keys are not for RSA.
fn is_of_a_tpm(certificate: &X509Certificate<'_>) -> bool {
    !certificate.is_ca() && matches!(certificate.public_key().parsed(), Ok(PublicKey::RSA(_)))
}
