//! A certificate of a TPM's endorsement key, up to its maker's root.

use super::Settings;
use super::findings::Findings;
use super::parts::Parts;
use crate::calendar;
use crate::check::Rule;
use crate::tpm::ek::{EK_CHAIN, EK_USAGE, PROFILE, has_ek_usage, usages};
use crate::x509::{self, EvidenceKind};
use podseal_protocol::Digest;
use serde_json::Value;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

/// The authorities that came along are those of this certificate.
static EK_CERTIFICATES: Rule = Rule {
    name: "ek.certificates",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Send the certificate with its own issuers only: one of the others leads to no root, or was altered.",
};

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let certificates = parts.certificates();
    let leaves = certificates.iter().filter(|one| !is_authority(one)).collect::<Vec<_>>();
    let leaf = match leaves.as_slice() {
        [leaf] => *leaf,
        [] => return findings.missing("ek_cert", "the certificate of an endorsement key"),
        _ => return findings.missing("ek_cert", "one certificate of an endorsement key: of several, nobody knows which is meant"),
    };
    tell(leaf, &certificates, findings);
    findings.authenticity.record(&EK_USAGE, has_ek_usage(leaf), "extended key usage 2.23.133.8.1", usages(leaf));
    let path = settings.roots.path(EvidenceKind::Tpm, leaf, &certificates, &PROFILE, settings.now);
    let issued = certificates.iter().any(|one| one.subject().as_raw() == leaf.issuer().as_raw());
    if path.is_err() && !issued && is_valid(leaf, settings.now) {
        return findings.missing("chain", "the certificates of the maker's authorities, up to its root");
    }
    let found = path.as_ref().map_or_else(ToString::to_string, |path| format!("a path to {}", path.anchor.name));
    let holds = findings.authenticity.record(&EK_CHAIN, path.is_ok(), settings.roots.wanted(EvidenceKind::Tpm), found);
    let Some(path) = path.ok().filter(|_| holds) else { return };
    findings.anchor(format!("{} ({})", path.anchor.name, path.anchor.kind.as_str()));
    let beside = certificates.iter().enumerate().filter(|(place, one)| !path.issuers.contains(place) && !std::ptr::eq(*one, leaf));
    let beside = beside.map(|(_, one)| one.subject().to_string()).collect::<Vec<_>>();
    findings.authenticity.record(&EK_CERTIFICATES, beside.is_empty(), "the certificates of one path", beside.join("; "));
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca)
}

fn is_valid(certificate: &X509Certificate<'_>, now: u64) -> bool {
    let now = i64::try_from(now).ok().and_then(|now| x509_parser::time::ASN1Time::from_timestamp(now).ok());
    now.is_some_and(|now| certificate.validity().is_valid_at(now))
}

fn tell(leaf: &X509Certificate<'_>, all: &[X509Certificate<'_>], findings: &mut Findings) {
    let time = |time: x509_parser::time::ASN1Time| {
        u64::try_from(time.timestamp()).ok().and_then(calendar::from_unix).map_or(Value::Null, |time| Value::from(time.to_string()))
    };
    findings.claim("key", key(leaf));
    findings.claim("subject", x509::rfc4514(leaf.subject()));
    findings.claim("issuer", x509::rfc4514(leaf.issuer()));
    findings.claim("not_before", time(leaf.validity().not_before));
    findings.claim("not_after", time(leaf.validity().not_after));
    findings.claim("serial", leaf.serial.to_str_radix(16));
    findings.claim(
        "critical_extensions",
        leaf.extensions().iter().filter(|one| one.critical).map(|one| one.oid.to_id_string()).collect::<Value>(),
    );
    findings.claim("san_tcg", tcg_names(leaf));
    let mut chain = vec![leaf];
    while let Some(issuer) = chain.last().and_then(|last| all.iter().find(|one| one.subject().as_raw() == last.issuer().as_raw())) {
        if chain.iter().any(|one| one.subject().as_raw() == issuer.subject().as_raw()) {
            break;
        }
        chain.push(issuer);
    }
    findings.claim("chain", chain.iter().map(|one| x509::rfc4514(one.subject())).collect::<Value>());
    if let Some(last) = chain.last().filter(|last| last.subject().as_raw() == last.issuer().as_raw()) {
        findings.claim("root_sha256", Digest::of(last.as_raw()).to_string());
    }
}

fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("rsa-{}", key.key_size()),
        Ok(PublicKey::EC(point)) => match point.key_size() {
            256 => "ecc-secp256r1".to_owned(),
            384 => "ecc-secp384r1".to_owned(),
            bits => format!("ecc-{bits}"),
        },
        _ => "unknown".to_owned(),
    }
}

/// TPM manufacturer, model and version (EK Credential Profile 2.5, 3.2.9), as they stand in the alternative name.
fn tcg_names(certificate: &X509Certificate<'_>) -> Value {
    let names = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let texts = names.flatten().filter_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(format!("'{}'", x509::rfc4514(name))),
        _ => None,
    });
    Value::from(format!("[{}]", texts.collect::<Vec<_>>().join(", ")))
}
