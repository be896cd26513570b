//! Public keys, from JWK or `SubjectPublicKeyInfo`, and the signatures that each can have made.
//!
//! `none` and the HMACs are no algorithms here (RFC 8725, 3.1), so a public key can never be taken for a shared secret.

use crate::json::{Skipped, Text, object};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use coset::iana;
use thiserror::Error;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The signature algorithms that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Algorithm {
    const ALL: [(Self, &'static str, iana::Algorithm); 10] = [
        (Self::Rs256, "RS256", iana::Algorithm::RS256),
        (Self::Rs384, "RS384", iana::Algorithm::RS384),
        (Self::Rs512, "RS512", iana::Algorithm::RS512),
        (Self::Ps256, "PS256", iana::Algorithm::PS256),
        (Self::Ps384, "PS384", iana::Algorithm::PS384),
        (Self::Ps512, "PS512", iana::Algorithm::PS512),
        (Self::Es256, "ES256", iana::Algorithm::ES256),
        (Self::Es384, "ES384", iana::Algorithm::ES384),
        (Self::Es512, "ES512", iana::Algorithm::ES512),
        (Self::EdDsa, "EdDSA", iana::Algorithm::EdDSA),
    ];

    /// RFC 7518, 3.1; RFC 8037, 3.1.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(algorithm, ..)| *algorithm == self).map_or("", |(_, name, _)| name)
    }

    /// The algorithm of that name.
    pub(crate) fn of_jose(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other, _)| *other == name).map(|(algorithm, ..)| *algorithm)
    }

    /// The algorithm of that number (IANA, COSE Algorithms).
    pub(crate) fn of_cose(number: &coset::Algorithm) -> Option<Self> {
        let same = |assigned: &iana::Algorithm| *number == coset::Algorithm::Assigned(*assigned);
        Self::ALL.iter().find(|(_, _, assigned)| same(assigned)).map(|(algorithm, ..)| *algorithm)
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
            Self::Es256 | Self::Es384 | Self::Es512 | Self::EdDsa => None,
        }
    }
}

/// NIST's curves (FIPS 186-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Bytes of a coordinate.
    fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The numbers of a public key, each in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// Coordinates, each as long as its curve has them.
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    /// Ed25519 (RFC 8032, 5.1.5).
    Ed25519 { x: Vec<u8> },
}

/// Why something is no key that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    /// Of another type.
    #[error("the key is {0}, wanted a public RSA key, one on P-256, P-384 or P-521, or an Ed25519 key")]
    Unsupported(String),
    /// Its numbers are not a key.
    #[error("the key is no valid public key: {0}")]
    Invalid(&'static str),
}

object! {
    /// RFC 7517, 4; RFC 7518, 6; RFC 8037, 2.
    Jwk {
        key_type: Text<'a> = "kty",
        key_id: Text<'a> = "kid",
        usage: Text<'a> = "use",
        operations: Vec<Text<'a>> = "key_ops",
        algorithm: Text<'a> = "alg",
        curve: Text<'a> = "crv",
        n: Text<'a> = "n",
        e: Text<'a> = "e",
        x: Text<'a> = "x",
        y: Text<'a> = "y",
        private: Skipped = "d",
    }
}

impl PublicKey {
    /// The key of a JWK.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(crate) fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        let curve = match (jwk.key_type.as_deref(), jwk.curve.as_deref()) {
            (Some("RSA"), None) => return Self::rsa(number(jwk.n.as_ref())?, number(jwk.e.as_ref())?),
            (Some("OKP"), Some("Ed25519")) => return Self::ed25519(number(jwk.x.as_ref())?),
            (Some("EC"), Some("P-256")) => Curve::P256,
            (Some("EC"), Some("P-384")) => Curve::P384,
            (Some("EC"), Some("P-521")) => Curve::P521,
            (kind, curve) => {
                return Err(KeyError::Unsupported(format!("of type {} {}", kind.unwrap_or("none"), curve.unwrap_or(""))));
            }
        };
        Self::ec(curve, number(jwk.x.as_ref())?, number(jwk.y.as_ref())?)
    }

    /// The key of a `SubjectPublicKeyInfo`, DER.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(crate) fn of_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let Ok(([], parsed)) = SubjectPublicKeyInfo::from_der(spki) else {
            return Err(KeyError::Invalid("it is no SubjectPublicKeyInfo in DER"));
        };
        let bits = parsed.subject_public_key.as_ref();
        if parsed.algorithm.algorithm == OID_SIG_ED25519 {
            return Self::ed25519(bits.to_vec());
        }
        if let Ok(x509_parser::public_key::PublicKey::RSA(key)) = parsed.parsed() {
            let positive = |number: &[u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
            return Self::rsa(positive(key.modulus), positive(key.exponent));
        }
        let named = parsed.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let curves = [(OID_EC_P256, Curve::P256), (OID_NIST_EC_P384, Curve::P384), (OID_NIST_EC_P521, Curve::P521)];
        let curve = curves.into_iter().find(|(oid, _)| named.as_ref() == Some(oid)).map(|(_, curve)| curve);
        let Some(curve) = curve else { return Err(KeyError::Unsupported(format!("of type {}", parsed.algorithm.algorithm))) };
        match bits.split_first() {
            Some((4, point)) if point.len() == 2 * curve.size() => {
                let (x, y) = point.split_at(curve.size());
                Self::ec(curve, x.to_vec(), y.to_vec())
            }
            _ => Err(KeyError::Invalid("its point is not in the uncompressed form")),
        }
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, KeyError> {
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(2048..=4096).contains(&bits) {
            return Err(KeyError::Invalid("its modulus has not 2048 to 4096 bits"));
        }
        // NIST SP 800-56B, 6.2: an odd exponent of at least 65537.
        let exponent = e.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        if e.len() > 4 || exponent < 65_537 || exponent.is_multiple_of(2) || e.first() == Some(&0) || n.first() == Some(&0) {
            return Err(KeyError::Invalid(
                "its exponent or modulus is not in the one form that is taken (odd, at least 65537, no leading zeros)",
            ));
        }
        Self::Rsa { n, e }.checked("its numbers are not an RSA key")
    }

    /// RFC 7518, 6.2.1: `x` and `y` have the full length of a coordinate.
    fn ec(curve: Curve, x: Vec<u8>, y: Vec<u8>) -> Result<Self, KeyError> {
        if x.len() != curve.size() || y.len() != curve.size() {
            return Err(KeyError::Invalid("its coordinates have not the length of its curve's"));
        }
        Self::Ec { curve, x, y }.checked("its coordinates are not a point of its curve")
    }

    fn ed25519(x: Vec<u8>) -> Result<Self, KeyError> {
        Self::Ed25519 { x }.checked("its bytes are not an Ed25519 key")
    }

    fn checked(self, problem: &'static str) -> Result<Self, KeyError> {
        let some = match &self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::Ec { curve: Curve::P256, .. } => Algorithm::Es256,
            Self::Ec { curve: Curve::P384, .. } => Algorithm::Es384,
            Self::Ec { curve: Curve::P521, .. } => Algorithm::Es512,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        };
        if self.parsed(some).is_some() { Ok(self) } else { Err(KeyError::Invalid(problem)) }
    }

    /// Whether keys of this type and curve sign by `algorithm`.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.rsa().is_some(),
            Self::Ec { curve, .. } => matches!(
                (curve, algorithm),
                (Curve::P256, Algorithm::Es256) | (Curve::P384, Algorithm::Es384) | (Curve::P521, Algorithm::Es512)
            ),
            Self::Ed25519 { .. } => algorithm == Algorithm::EdDsa,
        }
    }

    /// The key, ready to verify by `algorithm`; `None` where it does not fit.
    pub(crate) fn parsed(&self, algorithm: Algorithm) -> Option<ParsedPublicKey> {
        if !self.fits(algorithm) {
            return None;
        }
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.to_parsed_public_key(algorithm.rsa()?).ok(),
            Self::Ec { curve, x, y } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                match curve {
                    Curve::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok(),
                    Curve::P384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).ok(),
                    Curve::P521 => ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point).ok(),
                }
            }
            Self::Ed25519 { x } => ParsedPublicKey::new(&ED25519, x).ok(),
        }
    }

    /// Whether this key made `signature` over `signed` by `algorithm`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.parsed(algorithm).is_some_and(|key| key.verify_sig(signed, signature).is_ok())
    }
}

fn number(text: Option<&Text<'_>>) -> Result<Vec<u8>, KeyError> {
    let text = text.ok_or(KeyError::Invalid("one of its numbers is missing"))?;
    URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| KeyError::Invalid("one of its numbers is not canonical base64url"))
}
