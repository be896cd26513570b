//! AWS Nitro: an enclave's document, or a `NitroTPM`'s.

use super::findings::Findings;
use super::parts::{Item, Parts};
use super::{Settings, certificates};
use crate::calendar::rfc3339;
use crate::cose::Sign1;
use crate::hex::encode as hex;
use crate::nitro::{Document, DocumentError, Expected, Policy, appraise_document, appraise_policy};
use crate::x509;
use podseal_protocol::Digest;
use serde_json::{Map, Value};
use x509_parser::prelude::X509Certificate;

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let only = parts.only("document", findings, |item| match item {
        Item::NitroDocument(bytes) | Item::NitroTpmDocument(bytes) => Some(*bytes),
        _ => None,
    });
    let Some((file, bytes)) = only else { return };
    let message = Sign1::parse(bytes).map_err(DocumentError::from);
    let document = match message.as_ref().map(Document::parse) {
        Ok(Ok(document)) => document,
        Ok(Err(error)) => return findings.malformed(file, error),
        Err(error) => return findings.malformed(file, error),
    };
    claims(&document, findings);
    let nonce = parts.nonce(settings.nonce, findings);
    let (beside, lists) = (certificates::distinct(parts, |_| true, findings), parts.crls());
    let expected = Expected { roots: settings.roots, now: settings.now, nonce: nonce.as_deref(), beside: &beside, lists: &lists };
    if let Some(facts) = appraise_document(&document, &expected, &mut findings.authenticity) {
        findings.anchor(format!("{} ({})", facts.anchor().name, facts.anchor().kind.as_str()));
        appraise_policy(&facts, &Policy::default(), &mut findings.policy);
    }
}

fn claims(document: &Document<'_>, findings: &mut Findings) {
    let optional = |bytes: Option<&[u8]>| bytes.map(hex);
    findings.claim("module_id", document.module_id());
    findings.claim("digest", "SHA384");
    findings.claim("timestamp", rfc3339(document.timestamp_ms() / 1000));
    findings.claim("timestamp_ms", document.timestamp_ms());
    findings.claim("pcr_field", document.source().field());
    findings.claim("pcrs", document.pcrs().map(|(index, value)| (index.to_string(), hex(value).into())).collect::<Map<String, Value>>());
    findings.claim("public_key", optional(document.public_key()));
    findings.claim("user_data", optional(document.user_data()));
    findings.claim("nonce", optional(document.nonce()));
    findings.claim("debug_mode", document.is_debug());
    // A document with bytes behind it is malformed.
    findings.claim("trailing_bytes", 0);
    findings.claim("chain_length", 1 + document.cabundle().len());
    findings.claim("root_sha256", document.cabundle().first().map(|root| Digest::of(root).to_string()));
    let leaf = x509::parse(document.certificate());
    findings.claim("leaf_subject", leaf.as_ref().map(|leaf| x509::rfc4514(leaf.subject())));
    let chain = document.cabundle().iter().copied().chain([document.certificate()]).map(x509::parse).collect::<Option<Vec<_>>>();
    let edge = |edge: fn(&X509Certificate<'_>) -> i64| chain.iter().flatten().map(edge).collect::<Vec<_>>();
    let begin = edge(|certificate| certificate.validity().not_before.timestamp()).into_iter().max();
    let end = edge(|certificate| certificate.validity().not_after.timestamp()).into_iter().min();
    let told = |edge: Option<i64>| edge.and_then(rfc3339);
    findings.claim("chain_not_before", told(begin));
    findings.claim("chain_not_after", told(end));
}
