//! AWS Nitro: the attestation documents of enclaves and of `NitroTPM`.
//!
//! Nitro Enclaves Attestation Process (`aws-nitro-enclaves-nsm-api`, `docs/attestation_process.md`) 2.2, 3.2; EC2 User Guide, `NitroTPM`
//! Attestation Document contents. Both are one format under one root. A `NitroTPM` document tells what booted; unlike an enclave, such an
//! instance does not keep its memory from anybody. [`Document`] only parses; [`appraise_document`] decides whether it is the hypervisor's,
//! [`appraise_policy`] whether anything would be released on it.

mod document;
mod policy;
mod revocation;
pub mod rules;
#[cfg(test)]
pub(crate) mod tests;

pub use document::{Document, DocumentError, Source};
pub use policy::{Policy, appraise_policy};

use crate::check::Checks;
use crate::hex::encode as hex;
use crate::x509::{self, Anchor, Chain, EvidenceKind, Path, Profile, Roots, above};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use coset::{Header, iana};
use podseal_protocol::Digest;
use x509_parser::prelude::X509Certificate;

/// By how many seconds a hypervisor's clock may be ahead.
const SKEW: u64 = 300;

/// What certificates of the Nitro PKI may have.
const PROFILE: Profile = Profile { purpose: "a Nitro hypervisor", usage: None, processed: &[] };

/// What a document is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The roots that count.
    pub roots: &'a Roots,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// What the document must answer in its `nonce`; without it freshness is not appraised.
    pub nonce: Option<&'a [u8]>,
    /// Certificates that came beside the document. They are needed for nothing, and may be no others than those of its path,
    /// or of authorities above the root where that is an intermediate's certificate.
    pub beside: &'a [X509Certificate<'a>],
    /// Revocation lists, DER, of authorities on the path.
    pub lists: &'a [&'a [u8]],
}

/// Facts of a document; made only by [`appraise_document`], only after every rule held.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts<'d, 'r> {
    document: Document<'d>,
    anchor: &'r Anchor,
}

impl<'d, 'r> Facts<'d, 'r> {
    /// The document, all of which the hypervisor vouches for.
    #[must_use]
    pub fn document(&self) -> &Document<'d> {
        &self.document
    }

    /// The root that vouches for the hypervisor.
    #[must_use]
    pub fn anchor(&self) -> &'r Anchor {
        self.anchor
    }
}

/// Appraises whether a Nitro hypervisor under one of the roots signed this document, in time and in answer to what was expected.
///
/// Records each of [`rules::RULES`] that can be carried out; the nonce's is owed only where one is expected.
pub fn appraise_document<'d, 'r>(document: &Document<'d>, expected: &Expected<'r>, checks: &mut Checks) -> Option<Facts<'d, 'r>> {
    checks.also_owing(&[&rules::HEADERS, &rules::SIGNATURE, &rules::KEY_USAGE, &rules::CHAIN, &rules::TIMESTAMP]);
    let mut holds = headers_hold(document, checks);
    let leaf = x509::parse(document.certificate());
    holds &= signature_holds(document, leaf.as_ref(), checks);
    let leaf = leaf?;
    let usage = leaf.key_usage().ok().flatten().map(|usage| usage.value.to_string());
    let signs = leaf.key_usage().is_ok_and(|usage| usage.is_some_and(|usage| usage.value.digital_signature()));
    holds &= checks.record(&rules::KEY_USAGE, signs, "digital signature", usage.unwrap_or_else(|| "no key usage".to_owned()));
    let anchor = chain_holds(document, &leaf, expected, checks);
    let validity = leaf.validity();
    let second = i64::try_from(document.timestamp_ms() / 1000).unwrap_or(i64::MAX);
    let past = document.timestamp_ms() / 1000 <= expected.now.saturating_add(SKEW);
    let timely = past && (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&second);
    holds &= checks.record(
        &rules::TIMESTAMP,
        timely,
        format!("between {} and {}, and not to come", validity.not_before, validity.not_after),
        format!("{} ms since 1970", document.timestamp_ms()),
    );
    if let Some(nonce) = expected.nonce {
        let found = document.nonce().map_or_else(|| "no nonce".to_owned(), hex);
        holds &= checks.record(&rules::NONCE, document.nonce() == Some(nonce), hex(nonce), found);
    }
    Some(Facts { document: document.clone(), anchor: anchor? }).filter(|_| holds)
}

fn headers_hold(document: &Document<'_>, checks: &mut Checks) -> bool {
    let wanted = Header { alg: Some(coset::Algorithm::Assigned(iana::Algorithm::ES384)), ..Header::default() };
    let (protected, unprotected) = (document.message().protected(), document.message().unprotected());
    let found = format!("{} and {}", hex(document.message().protected_bytes()), if unprotected.is_empty() { "{}" } else { "more" });
    checks.record(&rules::HEADERS, *protected == wanted && unprotected.is_empty(), "a1013822 and {}", found)
}

/// RFC 9053, 2.1: r and s, 48 bytes each, of a key on P-384.
fn signature_holds(document: &Document<'_>, leaf: Option<&X509Certificate<'_>>, checks: &mut Checks) -> bool {
    let message = document.message();
    let verifies =
        |spki| UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, spki).verify(&message.signed_bytes(), message.signature()).is_ok();
    let (holds, found) = match leaf {
        Some(leaf) if verifies(leaf.public_key().raw) => (true, "verifies".to_owned()),
        Some(_) => (false, format!("{} bytes that are not this key's over these bytes", message.signature().len())),
        None => (false, "the document's certificate is no X.509 certificate in DER".to_owned()),
    };
    checks.record(&rules::SIGNATURE, holds, "ES384 by the key of the document's certificate", found)
}

/// The path is the bundle from its end to its beginning, and nothing came along that is not on it.
fn chain_holds<'r>(
    document: &Document<'_>,
    leaf: &X509Certificate<'_>,
    expected: &Expected<'r>,
    checks: &mut Checks,
) -> Option<&'r Anchor> {
    let bundle = document.cabundle().iter().rev().map(|der| x509::parse(der)).collect::<Option<Vec<_>>>();
    let known = |certificate: &X509Certificate<'_>| {
        let der = certificate.as_raw();
        der == document.certificate() || document.cabundle().contains(&der)
    };
    let strangers = expected.beside.iter().filter(|certificate| !known(certificate)).cloned().collect::<Vec<_>>();
    let others = bundle.iter().flatten().chain(&strangers).cloned().collect::<Vec<_>>();
    let path = match &bundle {
        Some(bundle) => match expected.roots.path(EvidenceKind::Nitro, leaf, &others, &PROFILE, expected.now) {
            Ok(path) if is_in_order(&path, bundle) => Ok(path),
            Ok(_) => Err("the bundle is not the path, root first".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        None => Err("a certificate of the bundle is no X.509 certificate in DER".to_owned()),
    };
    let found = path.as_ref().map_or_else(Clone::clone, |path| format!("a path to {}", path.anchor.name));
    let mut holds = checks.record(&rules::CHAIN, path.is_ok(), expected.roots.wanted(EvidenceKind::Nitro), found);
    if !expected.beside.is_empty() {
        let bundled = document.cabundle().len();
        let used = path.as_ref().map_or_else(|_| Vec::new(), |path| [path.issuers.clone(), above(path.anchor, &others)].concat());
        let unused = strangers.iter().zip(bundled..).filter(|(_, place)| !used.contains(place));
        let found = unused.map(|(certificate, _)| x509::rfc4514(certificate.subject())).collect::<Vec<_>>();
        let told = if found.is_empty() { "no others".to_owned() } else { found.join("; ") };
        holds &= checks.record(&rules::BESIDE, found.is_empty(), "certificates of the document's path", told);
    }
    let path = path.ok()?;
    if !expected.lists.is_empty() {
        holds &= revocation::appraise(&Chain { leaf, path: &path, others: &others }, expected, checks);
    }
    holds.then_some(path.anchor)
}

/// Whether every certificate of `bundle` (the leaf's issuer first) stands on the path in its order. The root's may be the one that was
/// configured instead, and where that is an intermediate's, those above it follow.
fn is_in_order(path: &Path<'_>, bundle: &[X509Certificate<'_>]) -> bool {
    let on_path = path.issuers.iter().take(bundle.len()).copied().eq(0..path.issuers.len().min(bundle.len()));
    let beyond = bundle.get(path.issuers.len()..).unwrap_or_default();
    let anchored = beyond.first().is_none_or(|certificate| Digest::of(certificate.public_key().raw) == path.anchor.key);
    let issued = |pair: &[X509Certificate<'_>]| matches!(pair, [below, issuer] if below != issuer && x509::is_signed(below, issuer.public_key().raw));
    on_path && anchored && beyond.windows(2).all(issued)
}
