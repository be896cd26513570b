//! Certificate revocation lists (RFC 5280, 5).

use super::signature::signed_by;
use thiserror::Error;
use x509_parser::prelude::{ASN1Time, CertificateRevocationList, FromDer, X509Certificate};

/// Why a list says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CrlError {
    /// The bytes are no list.
    #[error("the bytes are no certificate revocation list in DER; fetch it again")]
    NotAList,
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
}

/// A parsed list, of which nothing is known to be true yet.
#[derive(Debug)]
pub struct Crl<'a> {
    list: CertificateRevocationList<'a>,
}

impl<'a> Crl<'a> {
    /// Reads a list, DER, without anything behind it.
    ///
    /// # Errors
    /// [`CrlError::NotAList`].
    pub fn parse(der: &'a [u8]) -> Result<Self, CrlError> {
        match CertificateRevocationList::from_der(der) {
            Ok((rest, list)) if rest.is_empty() => Ok(Self { list }),
            _ => Err(CrlError::NotAList),
        }
    }

    /// Whether the list names `authority` as its issuer.
    #[must_use]
    pub fn is_of(&self, authority: &X509Certificate<'_>) -> bool {
        self.list.issuer().as_raw() == authority.subject().as_raw()
    }

    /// Whether the key of `authority` signed it, and it is current at `now` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// [`CrlError::Signature`], [`CrlError::Validity`].
    pub fn verify(&self, authority: &X509Certificate<'_>, now: u64) -> Result<(), CrlError> {
        let (outside, inside) = (&self.list.signature_algorithm, &self.list.tbs_cert_list.signature);
        let (signed, signature) = (self.list.tbs_cert_list.as_ref(), self.list.signature_value.as_ref());
        let holds = self.is_of(authority) && outside == inside && signed_by(authority.public_key().raw, outside, signed, signature);
        let issuer = || self.list.issuer().to_string();
        if !holds {
            return Err(CrlError::Signature { issuer: issuer() });
        }
        let (from, until) = (self.list.last_update(), self.list.next_update());
        let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
        if now.is_some_and(|now| from <= now && until.is_some_and(|until| now <= until)) {
            return Ok(());
        }
        Err(CrlError::Validity {
            issuer: issuer(),
            from: from.to_string(),
            until: until.map_or_else(|| "-".to_owned(), |until| until.to_string()),
        })
    }

    /// `thisUpdate` and `nextUpdate`, seconds since 1970; `None` for a list without an end, or from before.
    #[must_use]
    pub fn dates(&self) -> Option<(u64, u64)> {
        let seconds = |time: ASN1Time| u64::try_from(time.timestamp()).ok();
        Some((seconds(self.list.last_update())?, seconds(self.list.next_update()?)?))
    }

    /// `cRLNumber` (5.2.3), big-endian; a later list has a greater one.
    #[must_use]
    pub fn number(&self) -> Option<Vec<u8>> {
        self.list.crl_number().map(x509_parser::num_bigint::BigUint::to_bytes_be)
    }

    /// Whether it lists the certificate with this serial number. Only after [`Crl::verify`] does that mean anything.
    #[must_use]
    pub fn revokes(&self, certificate: &X509Certificate<'_>) -> bool {
        self.list.iter_revoked_certificates().any(|revoked| revoked.raw_serial() == certificate.raw_serial())
    }
}
