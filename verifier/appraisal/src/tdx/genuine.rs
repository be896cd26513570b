//! From the quote to a root: who signed it, and who vouches for whoever did.

use super::enclave::EnclaveReport;
use super::pck::{Authority, Pck, SGX_EXTENSION, has_extension, serial};
use super::quote::Quote;
use super::rules::{
    ATTESTATION_KEY, CERTIFICATES, LISTS, PCK_CERTIFICATE, PCK_CHAIN, QE_REPORT_SIGNATURE, QUOTE_PADDING, QUOTE_SIGNATURE, REPORT_DATA,
};
use super::td_report::TdReport;
use crate::check::Checks;
use crate::claims::RootKind;
use crate::hex::encode as hex;
use crate::x509::{Crl, EvidenceKind, Issuer, Path, Profile, Roots, above, find_path, is_signed};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use podseal_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use x509_parser::prelude::X509Certificate;

pub(super) const PROFILE: Profile = Profile { purpose: "a platform", usage: None, processed: &[SGX_EXTENSION] };

/// A quote with what came along.
#[derive(Debug, Clone, Copy)]
pub struct TdxEvidence<'a> {
    /// The quote.
    pub quote: &'a Quote<'a>,
    /// Its own certificates: [`Quote::chain`].
    pub chain: &'a [X509Certificate<'a>],
    /// Certificates beside it: the chain where the quote has none, the root where it is pinned by its key.
    pub certificates: &'a [X509Certificate<'a>],
    /// What the TD must have had quoted, up to 64 bytes, zeros behind; `None` where freshness is not appraised.
    pub report_data: Option<&'a [u8]>,
}

/// A quote that a quoting enclave signed which a genuine platform vouches for; made only by [`appraise_quote`]. Whether platform and
/// enclave are good enough, [`super::appraise`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenuineQuote {
    pub(super) body: TdReport,
    pub(super) qe: EnclaveReport,
    pub(super) pck: Pck,
    /// Whoever issued the PCK certificate, and its list.
    pub(super) issuer: Authority,
    /// Whoever issued that authority, and the list of authorities.
    pub(super) root: Authority,
    /// Serial numbers of the authorities between.
    pub(super) intermediates: Vec<Vec<u8>>,
    /// Authorities above the anchor, where that is an intermediate's certificate. Nothing is believed because of them.
    above: Vec<Authority>,
    pub(super) anchor: (String, RootKind),
    pub(super) anchor_key: Digest,
    /// Whether it answers what was asked, and nothing follows it.
    pub(super) whole: bool,
}

impl GenuineQuote {
    /// Name and kind of the root at the end of the PCK chain.
    #[must_use]
    pub fn anchor(&self) -> (&str, RootKind) {
        (&self.anchor.0, self.anchor.1)
    }

    /// Whose certificates and lists may come along.
    fn authorities(&self) -> impl Iterator<Item = &Authority> {
        [&self.issuer, &self.root].into_iter().chain(&self.above)
    }
}

/// The certificate that describes the platform: the first with Intel's extension, in the quote's own chain where it has one.
#[must_use]
pub fn pck_certificate<'c, 'a>(chain: &'c [X509Certificate<'a>], beside: &'c [X509Certificate<'a>]) -> Option<&'c X509Certificate<'a>> {
    let candidates = if chain.is_empty() { beside } else { chain };
    candidates.iter().find(|certificate| has_extension(certificate))
}

/// Appraises a quote up to its root. Records [`super::rules::QUOTE_RULES`] but [`CERTIFICATES`]; of a quote without any PCK certificate,
/// those that need none.
pub fn appraise_quote(evidence: &TdxEvidence<'_>, roots: &Roots, now: u64, checks: &mut Checks) -> Option<GenuineQuote> {
    let quote = evidence.quote;
    let padded = quote.after.iter().all(|byte| *byte == 0);
    let mut whole = checks.record(&QUOTE_PADDING, padded, "zeros or nothing", format!("{} bytes", quote.after.len()));
    if let Some(wanted) = evidence.report_data {
        whole &= checks.record(&REPORT_DATA, answers(&quote.body.reportdata, wanted), hex(wanted), hex(&quote.body.reportdata));
    }
    let signed = checks.record(
        &QUOTE_SIGNATURE,
        verifies(&uncompressed(quote.attestation_key), quote.signed, quote.signature),
        "a signature by the attestation key",
        "header and body",
    );
    let certified = key_is_certified(quote, checks);
    let certificate = pck_certificate(evidence.chain, evidence.certificates)?;
    let pck = pck_of(certificate, checks);
    let vouched = checks.record(
        &QE_REPORT_SIGNATURE,
        verifies(certificate.public_key().raw, quote.qe_report, quote.qe_signature),
        "a signature by the key of the PCK certificate",
        certificate.subject().to_string(),
    );
    let mut seen = BTreeSet::from([certificate.as_raw()]);
    let all = evidence.chain.iter().chain(evidence.certificates);
    let others = all.filter(|other| seen.insert(other.as_raw())).cloned().collect::<Vec<_>>();
    let path = pck_path(certificate, &others, roots, now, checks)?;
    let pck = pck.filter(|_| signed && certified && vouched)?;
    let issuers = path.issuers.iter().filter_map(|place| others.get(*place)).collect::<Vec<_>>();
    let root = path.anchor.issuer().or_else(|| issuers.last().map(|root| Issuer::from(*root)))?;
    let issuer = issuers.first().map_or(root, |issuer| Issuer::from(*issuer));
    Some(GenuineQuote {
        body: quote.body.clone(),
        qe: quote.qe.clone(),
        pck,
        issuer: Authority::of(issuer),
        root: Authority::of(root),
        above: above(path.anchor, &others).iter().filter_map(|place| Some(Authority::of(Issuer::from(others.get(*place)?)))).collect(),
        intermediates: issuers.iter().filter(|issuer| Issuer::from(**issuer) != root).map(|issuer| serial(issuer)).collect(),
        anchor: (path.anchor.name.clone(), path.anchor.kind),
        anchor_key: path.anchor.key,
        whole,
    })
}

/// Appraises that every certificate that came along, on the path or not, was signed by one of the authorities on it ([`CERTIFICATES`]):
/// where all that came is one quote's, an altered certificate is noticed even if nothing rests on it.
pub fn appraise_certificates(evidence: &TdxEvidence<'_>, genuine: &GenuineQuote, checks: &mut Checks) -> bool {
    let platform = pck_certificate(evidence.chain, evidence.certificates).map(|certificate| certificate.public_key().raw);
    // A platform's certificate is the one of this quote's platform.
    let belongs = |certificate: &X509Certificate<'_>| {
        let elsewhere = has_extension(certificate) && platform != Some(certificate.public_key().raw);
        !elsewhere && genuine.authorities().any(|authority| is_signed(certificate, &authority.key))
    };
    let stranger = evidence.chain.iter().chain(evidence.certificates).find(|certificate| !belongs(certificate));
    let found = stranger.map_or_else(|| "no other".to_owned(), |stranger| format!("{}, issued by another", stranger.subject()));
    checks.record(&CERTIFICATES, stranger.is_none(), "certificates of the root and of the PCK's authority", found)
}

/// Appraises that every revocation list that came along is of one of the authorities on the quote's path ([`LISTS`]). Whether they signed
/// it, [`super::Collateral::verify`] says.
pub fn appraise_lists(crls: &[Crl<'_>], genuine: &GenuineQuote, checks: &mut Checks) -> bool {
    let stranger = crls.iter().find(|crl| !genuine.authorities().any(|authority| crl.is_of(authority.issuer())));
    let found = stranger.map_or_else(|| "no other".to_owned(), |stranger| format!("one of {}", stranger.issuer()));
    checks.record(&LISTS, stranger.is_none(), "lists of the root and of the PCK's authority", found)
}

/// The nonce, and zeros up to the end.
fn answers(reportdata: &[u8; 64], wanted: &[u8]) -> bool {
    reportdata.strip_prefix(wanted).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

fn key_is_certified(quote: &Quote<'_>, checks: &mut Checks) -> bool {
    let digest = Sha256::new().chain_update(quote.attestation_key).chain_update(quote.qe_authentication).finalize();
    let reported = &quote.qe.reportdata;
    checks.record(&ATTESTATION_KEY, answers(reported, &digest), format!("{}, then zeros", hex(&digest)), hex(reported))
}

fn pck_of(certificate: &X509Certificate<'_>, checks: &mut Checks) -> Option<Pck> {
    let pck = Pck::of(certificate);
    let found = if pck.is_some() { "its values" } else { "an extension that lacks some or has another form" };
    checks.record(&PCK_CERTIFICATE, pck.is_some(), "PPID, TCB, PCEID and FMSPC", found);
    pck
}

fn pck_path<'r>(
    certificate: &X509Certificate<'_>,
    others: &[X509Certificate<'_>],
    roots: &'r Roots,
    now: u64,
    checks: &mut Checks,
) -> Option<Path<'r>> {
    let path = roots.path(EvidenceKind::Tdx, certificate, others, &PROFILE, now).map(|path| {
        // Where an intermediate is configured and its root as well, the root counts: it issues what Intel says about platforms.
        let higher = roots.for_kind(EvidenceKind::Tdx).filter(|anchor| anchor.key != path.anchor.key);
        if path.anchor.is_self_issued() { path } else { find_path(certificate, others, higher, &PROFILE, now).unwrap_or(path) }
    });
    let found = path.as_ref().map_or_else(ToString::to_string, |path| format!("a path to {}", path.anchor.name));
    let holds = checks.record(&PCK_CHAIN, path.is_ok(), roots.wanted(EvidenceKind::Tdx), found);
    path.ok().filter(|_| holds)
}

/// Whether a P-256 key (point or `SubjectPublicKeyInfo`) made a signature of two numbers of 32 bytes.
pub(super) fn verifies(key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed, signature).is_ok()
}

/// SEC 1, 2.3.3: the two coordinates as a point.
fn uncompressed(coordinates: &[u8]) -> Vec<u8> {
    [&[4], coordinates].concat()
}
