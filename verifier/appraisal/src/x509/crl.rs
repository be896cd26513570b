//! Certificate revocation lists (RFC 5280, 5).

use super::der::is_signed_object;
use super::signature::signed_by;
use thiserror::Error;
use x509_parser::oid_registry::{
    OID_X509_EXT_CRL_NUMBER, OID_X509_EXT_DELTA_CRL_INDICATOR, OID_X509_EXT_INVALIDITY_DATE, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
    OID_X509_EXT_REASON_CODE,
};
use x509_parser::prelude::{ASN1Time, CertificateRevocationList, FromDer, X509Certificate, X509Extension};

/// Bytes of a list: tens of thousands of certificates withdrawn.
const LONGEST: usize = 512 << 10;

/// Why a list says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CrlError {
    /// The bytes are no list.
    #[error("the bytes are no certificate revocation list in DER; fetch it again")]
    NotAList,
    /// More than is taken: a parsed list needs many times its bytes.
    #[error("the list has {found} bytes, at most {LONGEST} are taken")]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// It is another authority's, or nobody's.
    #[error("the list of {issuer} is not signed by the key of that authority; fetch it again")]
    Signature {
        /// The issuer's name in the list.
        issuer: String,
    },
    /// Outside its dates, or without an end.
    #[error("the list of {issuer} is good from {from} to {until} only; fetch a newer one")]
    Validity {
        /// The issuer's name.
        issuer: String,
        /// `thisUpdate`.
        from: String,
        /// `nextUpdate`, or `-`.
        until: String,
    },
    /// RFC 5280, 5.2 and 5.3: a list with something critical that is not understood must not be used.
    #[error("the list of {issuer} has an extension {extension} that is not supported; fetch the authority's complete list")]
    CriticalExtension {
        /// The issuer's name.
        issuer: String,
        /// Object identifier.
        extension: String,
    },
}

/// A serial number as it stands in DER, without leading zeros: the same number is the same bytes.
pub(crate) fn serial(raw: &[u8]) -> &[u8] {
    raw.get(raw.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default()
}

/// Whoever issues lists: an authority's name and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issuer<'a> {
    /// Distinguished name, DER.
    pub name: &'a [u8],
    /// `SubjectPublicKeyInfo`, DER.
    pub key: &'a [u8],
}

impl<'a> From<&'a X509Certificate<'_>> for Issuer<'a> {
    fn from(certificate: &'a X509Certificate<'_>) -> Self {
        Self { name: certificate.subject().as_raw(), key: certificate.public_key().raw }
    }
}

/// A parsed list, of which nothing is known to be true yet.
#[derive(Debug)]
pub struct Crl<'a> {
    list: CertificateRevocationList<'a>,
    der: &'a [u8],
}

impl<'a> Crl<'a> {
    /// Reads a list, DER, without anything behind it.
    ///
    /// # Errors
    /// [`CrlError::NotAList`], [`CrlError::TooLong`].
    pub fn parse(der: &'a [u8]) -> Result<Self, CrlError> {
        podseal_protocol::require(der.len() <= LONGEST, CrlError::TooLong { found: der.len() })?;
        match CertificateRevocationList::from_der(der) {
            Ok((rest, list)) if rest.is_empty() && is_signed_object(der) => Ok(Self { list, der }),
            _ => Err(CrlError::NotAList),
        }
    }

    /// Its bytes.
    pub(super) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Its issuer's name.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.list.issuer().to_string()
    }

    /// Whether the list names `authority` as its issuer.
    #[must_use]
    pub fn is_of<'i>(&self, authority: impl Into<Issuer<'i>>) -> bool {
        self.list.issuer().as_raw() == authority.into().name
    }

    /// Whether the key of `authority` signed it. It may be out of date.
    ///
    /// # Errors
    /// [`CrlError::Signature`], [`CrlError::CriticalExtension`].
    pub fn verify_signature<'i>(&self, authority: impl Into<Issuer<'i>>) -> Result<(), CrlError> {
        let authority = authority.into();
        let (signed, signature) = (self.list.tbs_cert_list.as_ref(), self.list.signature_value.as_ref());
        match self.is_of(authority) && signed_by(authority.key, &self.list.signature_algorithm, signed, signature) {
            true => self.verify_extensions(),
            false => Err(CrlError::Signature { issuer: self.issuer() }),
        }
    }

    /// Whether it is a whole list about everything that its issuer signs: not one of changes since another list, nor of a part, and
    /// without anything critical that is not processed here.
    pub(super) fn verify_extensions(&self) -> Result<(), CrlError> {
        let partial = [OID_X509_EXT_DELTA_CRL_INDICATOR, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT];
        let of_list = |one: &&X509Extension<'_>| (one.critical && one.oid != OID_X509_EXT_CRL_NUMBER) || partial.contains(&one.oid);
        let processed = [OID_X509_EXT_REASON_CODE, OID_X509_EXT_INVALIDITY_DATE];
        let of_entry = |one: &&X509Extension<'_>| one.critical && !processed.contains(&one.oid);
        let entries = || self.list.iter_revoked_certificates().flat_map(|revoked| revoked.extensions());
        match self.list.extensions().iter().find(of_list).or_else(|| entries().find(of_entry)) {
            Some(found) => Err(CrlError::CriticalExtension { issuer: self.issuer(), extension: found.oid.to_id_string() }),
            None => Ok(()),
        }
    }

    /// `thisUpdate` and `nextUpdate`, seconds since the Unix epoch; `None` where it has no end, or one before 1970.
    #[must_use]
    pub fn window(&self) -> Option<(u64, u64)> {
        let (from, until) = (self.list.last_update().timestamp(), self.list.next_update()?.timestamp());
        Some((u64::try_from(from).ok()?, u64::try_from(until).ok()?))
    }

    /// Serial numbers that it lists, as they stand in the certificates, without leading zeros.
    pub fn serials(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter_revoked_certificates().map(|revoked| serial(revoked.raw_serial()))
    }

    /// Whether the key of `authority` signed it, and it is current at `now` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// [`CrlError::Signature`], [`CrlError::CriticalExtension`], [`CrlError::Validity`].
    pub fn verify<'i>(&self, authority: impl Into<Issuer<'i>>, now: u64) -> Result<(), CrlError> {
        self.verify_signature(authority)?;
        self.verify_current(now)
    }

    /// Whether it is current at `now`; whose it is, is another question.
    pub(super) fn verify_current(&self, now: u64) -> Result<(), CrlError> {
        let (from, until) = (self.list.last_update(), self.list.next_update());
        let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
        if now.is_some_and(|now| from <= now && until.is_some_and(|until| now <= until)) {
            return Ok(());
        }
        Err(CrlError::Validity {
            issuer: self.issuer(),
            from: from.to_string(),
            until: until.map_or_else(|| "-".to_owned(), |until| until.to_string()),
        })
    }

    /// `cRLNumber` (5.2.3), big-endian; a later list has a greater one.
    #[must_use]
    pub fn number(&self) -> Option<Vec<u8>> {
        self.list.crl_number().map(x509_parser::num_bigint::BigUint::to_bytes_be)
    }

    /// Whether it lists the certificate with this serial number. Only after [`Crl::verify`] does that mean anything.
    #[must_use]
    pub fn revokes(&self, certificate: &X509Certificate<'_>) -> bool {
        self.serials().any(|revoked| revoked == serial(certificate.raw_serial()))
    }
}
