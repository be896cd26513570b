//! Path validation (RFC 5280, 6.1), from a certificate up to an anchor.
//!
//! Certificate policies are read with the initial set any-policy, so they exclude nothing; every critical extension that is not processed
//! here or by the evidence kind ends the path. Name constraints are refused: no certificate here has a name that they could judge.

use super::der::is_signed_object;
use super::roots::Anchor;
use super::signature::signed_by;
use podseal_protocol::Digest;
use std::ops::RangeInclusive;
use thiserror::Error;
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CERTIFICATE_POLICIES, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME, Oid,
};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// Certificates that may come with one piece of evidence.
const MOST_CERTIFICATES: usize = 16;
/// Signatures verified for one path, whatever comes along: decoys with the right names cost no more than this.
const MOST_SIGNATURES: u32 = 32;

/// What a maker's certificates may have.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// What the path is for, in errors: `an EK`.
    pub purpose: &'static str,
    /// The extended key usage that an issuer must have, where it has any.
    pub usage: Option<&'static Oid<'static>>,
    /// Critical extensions that the caller processes, beside those that path validation does.
    pub processed: &'static [Oid<'static>],
}

/// Why there is no path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// The leaf does not parse.
    #[error("the certificate is no X.509 certificate in DER")]
    NotACertificate,
    /// One of those beside it does not parse.
    #[error("an intermediate is no X.509 certificate in DER")]
    IssuerNotACertificate,
    /// More certificates than a path needs.
    #[error("{found} intermediates, {MOST_CERTIFICATES} are allowed")]
    TooManyIntermediates {
        /// How many came.
        found: usize,
    },
    /// Outside its dates.
    #[error("{subject} is valid from {from} to {until} only")]
    Validity {
        /// Its subject.
        subject: String,
        /// Not before.
        from: String,
        /// Not after.
        until: String,
    },
    /// RFC 5280, 4.2: refuse what is critical and not understood.
    #[error("{subject} has a critical extension {extension} that is not supported")]
    CriticalExtension {
        /// Its subject.
        subject: String,
        /// Object identifier.
        extension: String,
    },
    /// Not an authority for this.
    #[error("{subject} may not certify {purpose}: {reason}")]
    NoIssuer {
        /// Its subject.
        subject: String,
        /// What the path is for.
        purpose: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// An authority where the end of a path was wanted.
    #[error("the certificate is one of a certification authority")]
    LeafIsIssuer,
    /// Nobody there who signed it.
    #[error("no certificate and no root of {issuer} that verifies the signature")]
    IssuerUnknown {
        /// The issuer's name.
        issuer: String,
    },
    /// Somebody sent more candidates than a path can need.
    #[error("more than {MOST_SIGNATURES} signatures to verify")]
    TooMuchWork,
}

/// A path that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'r> {
    /// The anchor at its end.
    pub anchor: &'r Anchor,
    /// Its certificates above the leaf, by their places among those that came along; the leaf's issuer first, the root last if it came.
    pub issuers: Vec<usize>,
}

impl Path<'_> {
    /// When each certificate on it is valid, `leaf` included, in seconds since the Unix epoch; `others` as they were when it was found.
    #[must_use]
    pub fn valid(&self, leaf: &X509Certificate<'_>, others: &[X509Certificate<'_>]) -> RangeInclusive<u64> {
        let certificates = self.issuers.iter().filter_map(|place| others.get(*place)).chain([leaf]);
        let seconds = |time: ASN1Time| u64::try_from(time.timestamp()).unwrap_or_default();
        let windows = certificates.map(|one| (seconds(one.validity().not_before), seconds(one.validity().not_after)));
        let (from, until) = windows.fold((0, u64::MAX), |(from, until), (begin, end)| (from.max(begin), until.min(end)));
        from..=until
    }
}

/// The certificates among `others` that have nothing to do with `path`: not on it, not its anchor's, and none that signed one of these.
/// Above a root that somebody configured there may be others.
#[must_use]
pub fn beside<'c, 'd>(path: &Path<'_>, others: &'c [X509Certificate<'d>]) -> Vec<&'c X509Certificate<'d>> {
    let is_anchors = |one: &X509Certificate<'_>| Digest::of(one.public_key().raw) == path.anchor.key;
    let (mut with, mut without): (Vec<_>, Vec<_>) =
        others.iter().enumerate().partition(|(place, one)| path.issuers.contains(place) || is_anchors(one));
    while let Some(found) = without.iter().position(|(_, one)| with.iter().any(|(_, under)| signed(one, under))) {
        with.push(without.remove(found));
    }
    without.into_iter().map(|(_, one)| one).collect()
}

/// Whether one certificate's key signed another.
fn signed(issuer: &X509Certificate<'_>, under: &X509Certificate<'_>) -> bool {
    issuer.subject().as_raw() == under.issuer().as_raw() && is_signed(under, issuer.public_key().raw)
}

/// A certificate, DER, without anything behind it.
#[must_use]
pub fn parse(certificate: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    (rest.is_empty() && is_signed_object(certificate)).then_some(parsed)
}

/// Whether the key `spki` (`SubjectPublicKeyInfo`, DER) signed a certificate: its bytes as they came.
#[must_use]
pub fn is_signed(certificate: &X509Certificate<'_>, spki: &[u8]) -> bool {
    let (signed, signature) = (certificate.tbs_certificate.as_ref(), certificate.signature_value.as_ref());
    signed_by(spki, &certificate.signature_algorithm, signed, signature)
}

/// The path from `leaf` to one of `anchors` at `now` (seconds since the Unix epoch), over certificates of `others`.
///
/// An anchor that is pinned by its key alone needs its certificate among `others`: one that has this key, signed itself and is valid.
///
/// # Errors
/// [`PathError`] for the way that came furthest.
pub fn find_path<'r>(
    leaf: &X509Certificate<'_>,
    others: &[X509Certificate<'_>],
    anchors: impl Iterator<Item = &'r Anchor> + Clone,
    profile: &Profile,
    now: u64,
) -> Result<Path<'r>, PathError> {
    let authority = leaf.basic_constraints().map_or(true, |constraints| constraints.is_some_and(|constraints| constraints.value.ca));
    podseal_protocol::require(!authority, PathError::LeafIsIssuer)?;
    find_any_path(leaf, others, anchors, profile, now)
}

/// As [`find_path`], from any certificate: an authority's too, and a root's own, which has to be among `others`.
///
/// # Errors
/// [`PathError`] for the way that came furthest.
pub fn find_any_path<'r>(
    certificate: &X509Certificate<'_>,
    others: &[X509Certificate<'_>],
    anchors: impl Iterator<Item = &'r Anchor> + Clone,
    profile: &Profile,
    now: u64,
) -> Result<Path<'r>, PathError> {
    let mut search = Search::new(others, anchors, profile, now)?;
    search.check(certificate)?;
    search.climb(certificate, &mut Vec::new())
}

struct Search<'c, 'd, I> {
    others: &'c [X509Certificate<'d>],
    anchors: I,
    profile: &'c Profile,
    now: Option<ASN1Time>,
    signatures: u32,
}

impl<'r, 'c, 'd, I: Iterator<Item = &'r Anchor> + Clone> Search<'c, 'd, I> {
    fn new(others: &'c [X509Certificate<'d>], anchors: I, profile: &'c Profile, now: u64) -> Result<Self, PathError> {
        if others.len() > MOST_CERTIFICATES {
            return Err(PathError::TooManyIntermediates { found: others.len() });
        }
        let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
        Ok(Self { others, anchors, profile, now, signatures: MOST_SIGNATURES })
    }

    /// Looks for an issuer of `certificate`, which has `below` under it; anchors with a certificate of their own first.
    fn climb(&mut self, certificate: &X509Certificate<'_>, below: &mut Vec<usize>) -> Result<Path<'r>, PathError> {
        for anchor in self.anchors.clone() {
            let Some(trusted) = anchor.certified() else { continue };
            if trusted.subject == certificate.issuer().as_raw() && self.verifies(&trusted.spki, certificate)? {
                return Ok(Path { anchor, issuers: below.clone() });
            }
        }
        let mut error = PathError::IssuerUnknown { issuer: certificate.issuer().to_string() };
        for (place, issuer) in self.others.iter().enumerate() {
            let fits = issuer.subject().as_raw() == certificate.issuer().as_raw() && !below.contains(&place);
            if !fits || !self.verifies(issuer.public_key().raw, certificate)? {
                continue;
            }
            let length = u32::try_from(below.len()).unwrap_or(u32::MAX);
            let above = self.check(issuer).and_then(|()| self.may_issue(issuer, length)).and_then(|()| {
                below.push(place);
                let above = self.pinned(issuer, below).map_or_else(|| self.climb(issuer, below), Ok);
                below.pop();
                above
            });
            match above {
                Ok(path) => return Ok(path),
                Err(other) => error = other,
            }
        }
        Err(error)
    }

    /// The anchor with the key of `issuer`, if this is a root's own certificate: other fields than the key are vouched for by nothing
    /// else than its signature of itself.
    fn pinned(&mut self, issuer: &X509Certificate<'_>, path: &[usize]) -> Option<Path<'r>> {
        let key = Digest::of(issuer.public_key().raw);
        let anchor = self.anchors.clone().find(|anchor| anchor.certified().is_none() && anchor.key == key)?;
        let own = issuer.subject().as_raw() == issuer.issuer().as_raw();
        (own && self.verifies(issuer.public_key().raw, issuer) == Ok(true)).then(|| Path { anchor, issuers: path.to_vec() })
    }

    /// RFC 5280, 6.1.3 a 2 and 6.1.4 o, 6.1.5 f: validity, and no critical extension left unprocessed.
    fn check(&self, certificate: &X509Certificate<'_>) -> Result<(), PathError> {
        let validity = certificate.validity();
        if !self.now.is_some_and(|now| validity.is_valid_at(now)) {
            let (from, until) = (validity.not_before.to_string(), validity.not_after.to_string());
            return Err(PathError::Validity { subject: name(certificate), from, until });
        }
        let processed = [
            OID_X509_EXT_BASIC_CONSTRAINTS,
            OID_X509_EXT_KEY_USAGE,
            OID_X509_EXT_EXTENDED_KEY_USAGE,
            OID_X509_EXT_SUBJECT_ALT_NAME,
            OID_X509_EXT_CERTIFICATE_POLICIES,
        ];
        let unknown = |oid: &Oid<'_>| !processed.contains(oid) && !self.profile.processed.contains(oid);
        match certificate.extensions().iter().find(|extension| extension.critical && unknown(&extension.oid)) {
            Some(found) => Err(PathError::CriticalExtension { subject: name(certificate), extension: found.oid.to_id_string() }),
            None => Ok(()),
        }
    }

    /// RFC 5280, 6.1.3 a 1.
    fn verifies(&mut self, spki: &[u8], certificate: &X509Certificate<'_>) -> Result<bool, PathError> {
        self.signatures = self.signatures.checked_sub(1).ok_or(PathError::TooMuchWork)?;
        Ok(is_signed(certificate, spki))
    }

    /// RFC 5280, 6.1.4 g, k, m, n: an issuer's own limits.
    fn may_issue(&self, issuer: &X509Certificate<'_>, below: u32) -> Result<(), PathError> {
        let constraints = issuer.basic_constraints().ok().flatten().map(|extension| extension.value);
        let usage = self.profile.usage;
        let reason = if !constraints.is_some_and(|constraints| constraints.ca) {
            "it is no certification authority"
        } else if constraints.and_then(|constraints| constraints.path_len_constraint).is_some_and(|longest| longest < below) {
            "the path below it is longer than it allows"
        } else if !issuer.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign())) {
            "its key usage is not to sign certificates"
        } else if !issuer.extended_key_usage().is_ok_and(|extended| {
            extended.is_none_or(|extended| extended.value.any || usage.is_some_and(|usage| extended.value.other.contains(usage)))
        }) {
            "its extended key usage is another"
        } else if !matches!(issuer.name_constraints(), Ok(None)) {
            "it has name constraints"
        } else {
            return Ok(());
        };
        Err(PathError::NoIssuer { subject: name(issuer), purpose: self.profile.purpose, reason })
    }
}

fn name(certificate: &X509Certificate<'_>) -> String {
    match certificate.subject().to_string() {
        empty if empty.is_empty() => "the certificate".to_owned(),
        name => name,
    }
}
