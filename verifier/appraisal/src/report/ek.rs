//! A certificate of a TPM's endorsement key, up to its maker's root.

use super::Settings;
use super::certificates;
use super::findings::Findings;
use super::parts::Parts;
use crate::calendar::rfc3339;
use crate::check::Rule;
use crate::tpm::ek::{EK_CHAIN, EK_USAGE, PROFILE, has_ek_usage, usages};
use crate::x509::{self, Chain, EvidenceKind, PathError};
use podseal_protocol::Digest;
use serde_json::Value;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

/// Certificates of a chain that are told.
const LONGEST: usize = 16;

/// The authorities that came along are those of this certificate.
static EK_CERTIFICATES: Rule = Rule {
    name: "ek.certificates",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Send the certificate with its own issuers only: one of the others leads to no root, or was altered.",
};

/// Each revocation list that came along is one of the path's authorities, signed by it and current.
pub(super) static EK_CRL: Rule = Rule {
    name: "ek.crl",
    spec: "RFC 5280, 5 and 6.3",
    remedy: "Send the lists of the authorities on the way to the root, fetched anew; or none.",
};
/// No certificate of the path is on such a list.
pub(super) static EK_REVOKED: Rule = Rule {
    name: "ek.revoked",
    spec: "RFC 5280, 6.3",
    remedy: "Do not trust this TPM: its maker withdrew its certificate, or an authority's.",
};

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let certificates = certificates::each(parts).collect::<Vec<_>>();
    let leaves = certificates.iter().filter(|one| !is_authority(one)).collect::<Vec<_>>();
    let leaf = match leaves.as_slice() {
        [leaf] => *leaf,
        [] => return findings.missing("ek_cert", "the certificate of an endorsement key"),
        _ => return findings.missing("ek_cert", "one certificate of an endorsement key: of several, nobody knows which is meant"),
    };
    tell(leaf, &certificates, findings);
    findings.authenticity.record(&EK_USAGE, has_ek_usage(leaf), "extended key usage 2.23.133.8.1", usages(leaf));
    let path = settings.roots.path(EvidenceKind::Tpm, leaf, &certificates, &PROFILE, settings.now);
    if path.as_ref().is_err_and(|error| lacks_issuer(error, &certificates)) {
        return findings.missing("chain", "the certificates of the maker's authorities, up to its root");
    }
    let found = path.as_ref().map_or_else(ToString::to_string, |path| format!("a path to {}", path.anchor.name));
    let holds = findings.authenticity.record(&EK_CHAIN, path.is_ok(), settings.roots.wanted(EvidenceKind::Tpm), found);
    let Some(path) = path.ok().filter(|_| holds) else { return };
    findings.anchor(format!("{} ({})", path.anchor.name, path.anchor.kind.as_str()));
    let beside = x509::beside(&path, &certificates).into_iter().filter(|one| *one != leaf);
    let beside = beside.map(|one| x509::rfc4514(one.subject())).collect::<Vec<_>>();
    let found = if beside.is_empty() { "no other".to_owned() } else { beside.join("; ") };
    findings.authenticity.record(&EK_CERTIFICATES, beside.is_empty(), "the certificates of one path", found);
    revocation(parts, &Chain { leaf, path: &path, others: &certificates }, settings, findings);
}

/// Whether an issuer is simply not there: no certificate has its name.
pub(super) fn lacks_issuer(error: &PathError, certificates: &[X509Certificate<'_>]) -> bool {
    matches!(error, PathError::IssuerUnknown { issuer } if certificates.iter().all(|one| one.subject().to_string() != *issuer))
}

/// Appraises the revocation lists that came along.
pub(super) fn revocation(parts: &Parts<'_>, chain: &Chain<'_, '_>, settings: &Settings<'_>, findings: &mut Findings) {
    let lists = parts.crls();
    if lists.is_empty() {
        return;
    }
    let lists = chain.current(&lists, settings.roots, settings.now);
    let found = lists.as_ref().map_or_else(Clone::clone, |lists| format!("{} current", lists.len()));
    findings.authenticity.record(&EK_CRL, lists.is_ok(), "current lists of authorities on the path", found);
    let Ok(lists) = lists else { return };
    let revoked = chain.revoked(&lists).into_iter().map(|one| x509::rfc4514(one.subject())).collect::<Vec<_>>();
    let found = if revoked.is_empty() { "none".to_owned() } else { revoked.join(" and ") };
    findings.authenticity.record(&EK_REVOKED, revoked.is_empty(), "no certificate of the path", found);
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca)
}

fn tell(leaf: &X509Certificate<'_>, all: &[X509Certificate<'_>], findings: &mut Findings) {
    findings.claim("key", key(leaf));
    findings.claim("subject", x509::rfc4514(leaf.subject()));
    findings.claim("issuer", x509::rfc4514(leaf.issuer()));
    findings.claim("not_before", rfc3339(leaf.validity().not_before.timestamp()));
    findings.claim("not_after", rfc3339(leaf.validity().not_after.timestamp()));
    findings.claim("serial", leaf.serial.to_str_radix(16));
    findings.claim(
        "critical_extensions",
        leaf.extensions().iter().filter(|one| one.critical).map(|one| one.oid.to_id_string()).collect::<Value>(),
    );
    findings.claim("san_tcg", tcg_names(leaf));
    let mut chain = vec![leaf];
    while chain.len() < LONGEST
        && let Some(issuer) = chain.last().and_then(|last| all.iter().find(|one| one.subject().as_raw() == last.issuer().as_raw()))
    {
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
