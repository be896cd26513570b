//! Path validation for EK certificates (RFC 5280, 6.1), over X.509 as TPM makers write it.
//!
//! Makers mark certificate policies critical in their intermediates, which the TLS stack's path building refuses. Policies are read
//! with the initial set any-policy, so they exclude nothing; every other critical extension that is not processed here ends the path.
//! Name constraints are refused: an EK certificate has no name that they could judge.

use super::roots::{Anchor, EkRoots};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use thiserror::Error;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CERTIFICATE_POLICIES, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME, Oid, asn1_rs::oid,
};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// `tcg-kp-EKCertificate` (TCG EK Credential Profile 2.5, 3.2.16).
pub(super) const EK_CERTIFICATE: Oid<'static> = oid!(2.23.133.8.1);

/// Intermediates that a request may bring.
const MOST_INTERMEDIATES: usize = 16;
/// Signatures verified for one path, whatever the request brings.
const MOST_SIGNATURES: u32 = 32;

/// Why there is no path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum PathError {
    #[error("{which} is no X.509 certificate in DER")]
    NotACertificate { which: &'static str },
    #[error("{found} intermediates, {MOST_INTERMEDIATES} are allowed")]
    TooManyIntermediates { found: usize },
    #[error("{subject} is valid from {from} to {until} only")]
    Validity { subject: String, from: String, until: String },
    #[error("{subject} has a critical extension {extension} that is not supported")]
    CriticalExtension { subject: String, extension: String },
    #[error("{subject} may not certify an EK: {reason}")]
    NoIssuer { subject: String, reason: &'static str },
    #[error("the certificate is one of a certification authority")]
    LeafIsIssuer,
    #[error("no certificate and no root of {issuer} that verifies the signature")]
    IssuerUnknown { issuer: String },
    #[error("more than {MOST_SIGNATURES} signatures to verify")]
    TooMuchWork,
}

/// The certificate at the end of a path, DER, without anything behind it.
pub(super) fn parse(certificate: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(certificate).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, parsed)| parsed)
}

/// The root that vouches for `leaf` at `now` (seconds since the Unix epoch).
pub(super) fn validate<'r>(
    leaf: &X509Certificate<'_>,
    intermediates: &[&[u8]],
    roots: &'r EkRoots,
    now: u64,
) -> Result<&'r Anchor, PathError> {
    if intermediates.len() > MOST_INTERMEDIATES {
        return Err(PathError::TooManyIntermediates { found: intermediates.len() });
    }
    let parsed = intermediates.iter().map(|der| parse(der)).collect::<Option<Vec<_>>>();
    let intermediates = parsed.ok_or(PathError::NotACertificate { which: "an intermediate" })?;
    let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let mut search = Search { intermediates, roots, now, signatures: MOST_SIGNATURES };
    search.check(leaf)?;
    match leaf.basic_constraints() {
        Ok(constraints) if constraints.as_ref().is_none_or(|constraints| !constraints.value.ca) => search.climb(leaf, 0),
        _ => Err(PathError::LeafIsIssuer),
    }
}

struct Search<'r, 'c> {
    intermediates: Vec<X509Certificate<'c>>,
    roots: &'r EkRoots,
    now: Option<ASN1Time>,
    signatures: u32,
}

impl<'r> Search<'r, '_> {
    /// Looks for an issuer of `certificate`, which has `below` intermediates under it; roots first.
    fn climb(&mut self, certificate: &X509Certificate<'_>, below: u32) -> Result<&'r Anchor, PathError> {
        for anchor in self.roots.anchors() {
            if anchor.subject == certificate.issuer().as_raw() && self.verifies(&anchor.spki, certificate)? {
                return Ok(anchor);
            }
        }
        let mut error = PathError::IssuerUnknown { issuer: certificate.issuer().to_string() };
        for issuer in self.intermediates.clone() {
            let fits = issuer.subject().as_raw() == certificate.issuer().as_raw() && below < MOST_INTERMEDIATES as u32;
            if !fits || !self.verifies(issuer.public_key().raw, certificate)? {
                continue;
            }
            let above = self.check(&issuer).and_then(|()| may_issue(&issuer, below)).and_then(|()| self.climb(&issuer, below + 1));
            match above {
                Ok(anchor) => return Ok(anchor),
                Err(other) => error = other,
            }
        }
        Err(error)
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
        match certificate.extensions().iter().find(|extension| extension.critical && !processed.contains(&extension.oid)) {
            Some(found) => Err(PathError::CriticalExtension { subject: name(certificate), extension: found.oid.to_id_string() }),
            None => Ok(()),
        }
    }

    /// RFC 5280, 6.1.3 a 1: the signature over the bytes as they came, in the algorithm that is also inside of them (4.1.1.2).
    fn verifies(&mut self, spki: &[u8], certificate: &X509Certificate<'_>) -> Result<bool, PathError> {
        self.signatures = self.signatures.checked_sub(1).ok_or(PathError::TooMuchWork)?;
        if certificate.signature_algorithm != certificate.tbs_certificate.signature {
            return Ok(false);
        }
        let (signed, signature) = (certificate.tbs_certificate.as_ref(), certificate.signature_value.as_ref());
        // An algorithm for another kind of key or curve refuses the key.
        Ok(algorithms(&certificate.signature_algorithm.algorithm)
            .iter()
            .any(|algorithm| UnparsedPublicKey::new(*algorithm, spki).verify(signed, signature).is_ok()))
    }
}

/// RFC 5280, 6.1.4 g, k, m, n: an issuer's own limits.
fn may_issue(issuer: &X509Certificate<'_>, below: u32) -> Result<(), PathError> {
    let constraints = issuer.basic_constraints().ok().flatten().map(|extension| extension.value);
    let reason = if !constraints.is_some_and(|constraints| constraints.ca) {
        "it is no certification authority"
    } else if constraints.and_then(|constraints| constraints.path_len_constraint).is_some_and(|longest| longest < below) {
        "the path below it is longer than it allows"
    } else if !issuer.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign())) {
        "its key usage is not to sign certificates"
    } else if !issuer
        .extended_key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.any || usage.value.other.contains(&EK_CERTIFICATE)))
    {
        "its extended key usage is another"
    } else if !matches!(issuer.name_constraints(), Ok(None)) {
        "it has name constraints"
    } else {
        return Ok(());
    };
    Err(PathError::NoIssuer { subject: name(issuer), reason })
}

fn algorithms(oid: &Oid<'_>) -> &'static [&'static dyn VerificationAlgorithm] {
    if *oid == OID_PKCS1_SHA256WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA256]
    } else if *oid == OID_PKCS1_SHA384WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA384]
    } else if *oid == OID_PKCS1_SHA512WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA512]
    } else if *oid == OID_SIG_ECDSA_WITH_SHA256 {
        &[&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA256_ASN1]
    } else if *oid == OID_SIG_ECDSA_WITH_SHA384 {
        &[&ECDSA_P256_SHA384_ASN1, &ECDSA_P384_SHA384_ASN1]
    } else {
        &[]
    }
}

fn name(certificate: &X509Certificate<'_>) -> String {
    match certificate.subject().to_string() {
        empty if empty.is_empty() => "the EK certificate".to_owned(),
        name => name,
    }
}
