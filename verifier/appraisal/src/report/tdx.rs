//! A TDX quote with its collateral.

use super::Settings;
use super::certificates;
use super::findings::Findings;
use super::parts::{Item, Parts};
use crate::calendar::rfc3339;
use crate::hex::encode as hex;
use crate::tdx::{
    Collateral, CollateralError, CollateralEvidence, Evaluation, Floors, GenuineQuote, Pck, Policy, Quote, SignedJson, TdReport,
    TdxEvidence, TdxFacts, appraise as appraise_tcb, appraise_certificates, appraise_lists, appraise_policy, appraise_quote,
    pck_certificate,
};
use crate::x509::{Crl, common_name};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use x509_parser::prelude::X509Certificate;

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let Some((file, bytes)) = parts.only("TDX quote", findings, |item| if let Item::TdxQuote(quote) = item { Some(*quote) } else { None })
    else {
        return;
    };
    let quote = match Quote::parse(bytes) {
        Ok(quote) => quote,
        Err(error) => return findings.malformed(file, error),
    };
    let Some(chain) = chain(file, &quote, findings) else { return };
    let nonce = parts.nonce(settings.nonce, findings);
    tell_quote(&quote, &chain, findings);
    appraise_parts(parts, &quote, &chain, nonce.as_deref(), |_| false, settings, findings);
}

/// The certificates in the quote that `file` has.
pub(super) fn chain<'q>(file: &str, quote: &'q Quote<'_>, findings: &mut Findings) -> Option<Vec<X509Certificate<'q>>> {
    quote.chain().map_err(|error| findings.malformed(file, error)).ok()
}

/// Appraises `quote` with its `chain`, and with the certificates and the collateral of `parts`; facts only if authenticity held, whatever the policy says.
/// Every certificate of `parts` has to belong to the quote, but those that `other` says are for something else.
pub(super) fn appraise_parts(
    parts: &Parts<'_>,
    quote: &Quote<'_>,
    chain: &[X509Certificate<'_>],
    report_data: Option<&[u8]>,
    other: impl Fn(&X509Certificate<'_>) -> bool,
    settings: &Settings<'_>,
    findings: &mut Findings,
) -> Option<TdxFacts> {
    let [tcb_info, qe_identity] = answers(parts, findings);
    let beside = certificates::distinct(parts, |certificate| !other(certificate), findings);
    let evidence = TdxEvidence { quote, chain, certificates: &beside, report_data };
    if pck_certificate(chain, &beside).is_none() {
        findings.missing("pck_chain", "the PCK certificate of the platform with its chain: who vouches for the quoting enclave");
    }
    let genuine = appraise_quote(&evidence, settings.roots, settings.now, &mut findings.authenticity)?;
    let (name, kind) = genuine.anchor();
    findings.anchor(format!("{name} ({})", kind.as_str()));
    let belong = appraise_certificates(&evidence, &genuine, &mut findings.authenticity);
    let (lists, certificates) = (parts.crls(), [beside.as_slice(), chain].concat());
    let crls = lists.iter().filter_map(|der| Crl::parse(der).ok()).collect::<Vec<_>>();
    let belong = appraise_lists(&crls, &genuine, &mut findings.authenticity) && belong;
    let collateral = CollateralEvidence { tcb_info, qe_identity, certificates: &certificates, crls: &crls };
    for part in collateral.missing(&genuine) {
        findings.missing(part.as_str(), part.why());
    }
    let collateral = Collateral::verify(&collateral, &genuine, settings.roots, settings.now, &mut findings.authenticity)?;
    tell_collateral(&genuine, &collateral, findings);
    let facts = appraise_tcb(&genuine, &collateral, &Floors::default(), settings.now, &mut findings.authenticity)?;
    appraise_policy(&facts, &Policy::SHIPPED, &mut findings.policy);
    Some(facts).filter(|_| belong)
}

/// TCB info and the QE identity, neither verified.
fn answers<'a>(parts: &Parts<'a>, findings: &mut Findings) -> [Option<SignedJson<'a>>; 2] {
    let info = parts.only("TCB info", findings, |item| if let Item::TcbInfo(json) = item { Some(*json) } else { None });
    let identity = parts.only("QE identity", findings, |item| if let Item::QeIdentity(json) = item { Some(*json) } else { None });
    [
        info.and_then(|(file, json)| read(file, SignedJson::tcb_info(json), findings)),
        identity.and_then(|(file, json)| read(file, SignedJson::qe_identity(json), findings)),
    ]
}

fn read<'a>(file: &str, json: Result<SignedJson<'a>, CollateralError>, findings: &mut Findings) -> Option<SignedJson<'a>> {
    json.map_err(|error| findings.malformed(file, error)).ok()
}

/// What the quote says.
pub(super) fn tell_quote(quote: &Quote<'_>, chain: &[X509Certificate<'_>], findings: &mut Findings) {
    findings.claim("version", quote.version);
    findings.claim("tee_type", "0x81");
    findings.claim("body_type", quote.body_type);
    findings.claim("body", tell_body(&quote.body));
    findings.claim("td_debug", quote.body.is_debug());
    findings.claim("bytes_after_signature_data", quote.after.len());
    let qe = &quote.qe;
    findings.claim(
        "qe",
        json!({
            "cpusvn": hex(&qe.cpusvn),
            "miscselect": hex(&qe.miscselect),
            "attributes": hex(&qe.attributes),
            "mrenclave": hex(&qe.mrenclave),
            "mrsigner": hex(&qe.mrsigner),
            "isvprodid": qe.isvprodid,
            "isvsvn": qe.isvsvn,
            "reportdata": hex(&qe.reportdata),
        }),
    );
    if let Some((certificate, pck)) = pck_certificate(chain, &[]).and_then(|certificate| Some((certificate, Pck::of(certificate)?))) {
        tell_pck(certificate, &pck, findings);
    }
}

/// What a quote says about a TD, by the names that Intel gives the fields.
pub(super) fn tell_body(body: &TdReport) -> Value {
    let mut told = Map::new();
    let mut field = |name: &str, value: &[u8]| told.insert(name.to_owned(), hex(value).into());
    field("tee_tcb_svn", &body.tee_tcb_svn);
    field("mrseam", &body.mrseam);
    field("mrsignerseam", &body.mrsignerseam);
    field("seamattributes", &body.seamattributes);
    field("tdattributes", &body.tdattributes);
    field("xfam", &body.xfam);
    field("mrtd", &body.mrtd);
    field("mrconfigid", &body.mrconfigid);
    field("mrowner", &body.mrowner);
    field("mrownerconfig", &body.mrownerconfig);
    for (number, rtmr) in body.rtmrs.iter().enumerate() {
        field(&format!("rtmr{number}"), rtmr);
    }
    field("reportdata", &body.reportdata);
    if let Some(extended) = &body.extended {
        field("tee_tcb_svn2", &extended.tee_tcb_svn2);
        field("mrservicetd", &extended.mrservicetd);
    }
    Value::Object(told)
}

/// What the PCK certificate says.
fn tell_pck(certificate: &X509Certificate<'_>, pck: &Pck, findings: &mut Findings) {
    findings.claim("fmspc", hex(&pck.fmspc));
    findings.claim("pceid", hex(&pck.pceid));
    findings.claim("pck_pcesvn", pck.pcesvn);
    findings.claim("pck_sgx_tcb_components", pck.components.to_vec());
    findings.claim("pck_ca", common_name(certificate.issuer()));
    findings.claim("pck_serial", hex(&pck.serial));
    findings.claim("pck_not_before", rfc3339(certificate.validity().not_before.timestamp()));
    findings.claim("pck_not_after", rfc3339(certificate.validity().not_after.timestamp()));
}

/// What Intel says about the quote's platform, in collateral whose signatures held.
fn tell_collateral(genuine: &GenuineQuote, collateral: &Collateral, findings: &mut Findings) {
    let window = collateral.window().map(|window| vec![rfc3339(window.from), rfc3339(window.until)]);
    findings.claim("collateral_window", window);
    findings.claim("tcb_evaluation_data_number", collateral.evaluation_number());
    let evaluation = Evaluation::of(genuine, collateral);
    let (module, qe) = (&evaluation.module, &evaluation.qe);
    let status = evaluation.status().map_or("NoMatchingLevel", |status| status.as_str());
    let mut told = BTreeMap::<&str, Value>::from([
        ("fmspc_match", evaluation.fmspc_match.into()),
        ("pceid_match", evaluation.pceid_match.into()),
        ("module_id", module.id.as_str().into()),
        ("module_mrsigner_ok", module.mrsigner_ok.into()),
        ("module_attr_ok", module.attributes_ok.into()),
        ("qe_misc_ok", qe.miscselect_ok.into()),
        ("qe_attr_ok", qe.attributes_ok.into()),
        ("qe_mrsigner_ok", qe.mrsigner_ok.into()),
        ("qe_prodid_ok", qe.prodid_ok.into()),
        ("tcb_status", status.into()),
    ]);
    if let Some(level) = &evaluation.platform {
        told.insert("platform_status", level.status.as_str().into());
        told.insert("tcb_date", level.date.as_str().into());
        told.insert("advisories", level.advisories.clone().into());
    }
    if let Some(level) = &module.level {
        told.insert("module_status", level.status.as_str().into());
        told.insert("module_advisories", level.advisories.clone().into());
    }
    if let Some(level) = &qe.level {
        told.insert("qe_status", level.status.as_str().into());
        told.insert("qe_advisories", level.advisories.clone().into());
    }
    findings.claim("tcb", json!(told));
}
