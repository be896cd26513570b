//! A key that signs as a TPM does, in any scheme of the specification: for reports of TPMs whose keys are not ours to choose.
//!
//! Nodes' own attestation keys are [`super::ak`]'s matter, which is stricter.

use super::HashAlgorithm;
use super::structures::{KeyParameters, Public, Signature};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// `AlgorithmIdentifier` and head of the point of a P-256 and of a P-384 key (RFC 5480, 2).
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00, 0x04,
];
const P384_HEAD: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62,
    0x00, 0x04,
];

/// A public key, of which nothing is known but its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    spki: Vec<u8>,
}

impl Signer {
    /// The key of a `SubjectPublicKeyInfo` (DER).
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        Self { spki: spki.to_vec() }
    }

    /// The key of a public area; `None` for a curve that no rule here knows, and for what is no key.
    #[must_use]
    pub fn of_public(public: &Public<'_>) -> Option<Self> {
        match public.key {
            KeyParameters::Rsa { exponent, modulus, .. } => Self::of_rsa(modulus, &exponent.to_be_bytes()),
            KeyParameters::Ecc { curve: 0x0003, x, y, .. } => Some(Self { spki: [P256_HEAD, &fixed(x, y, 32)?].concat() }),
            KeyParameters::Ecc { curve: 0x0004, x, y, .. } => Some(Self { spki: [P384_HEAD, &fixed(x, y, 48)?].concat() }),
            KeyParameters::Ecc { .. } => None,
        }
    }

    /// The RSA key of this modulus and exponent, both big-endian; `None` if they are none of 2048 to 8192 bits.
    #[must_use]
    pub fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some(Self { spki: key.as_ref().to_vec() })
    }

    /// `SubjectPublicKeyInfo`, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether `signature` is one of `message` by this key. SHA-1 counts here: whether it may is the policy's matter.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature<'_>) -> bool {
        match *signature {
            Signature::RsaSsa { hash, signature } => self.holds(rsassa(hash), message, signature),
            Signature::RsaPss { hash, signature } => rsapss(hash).is_some_and(|algorithm| self.holds(algorithm, message, signature)),
            Signature::EcDsa { hash, r, s } => ecdsa(hash)
                .is_some_and(|(algorithm, size)| fixed(r, s, size).is_some_and(|signature| self.holds(algorithm, message, &signature))),
        }
    }

    fn holds(&self, algorithm: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(algorithm, &self.spki).verify(message, signature).is_ok()
    }
}

/// RFC 8017, 8.2.2.
fn rsassa(hash: HashAlgorithm) -> &'static dyn VerificationAlgorithm {
    match hash {
        HashAlgorithm::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
        HashAlgorithm::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
    }
}

/// RFC 8017, 8.1.2, with a salt of the hash's length (TPM 2.0 Part 1, B.7).
fn rsapss(hash: HashAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match hash {
        HashAlgorithm::Sha1 => None,
        HashAlgorithm::Sha256 => Some(&RSA_PSS_2048_8192_SHA256),
        HashAlgorithm::Sha384 => Some(&RSA_PSS_2048_8192_SHA384),
        HashAlgorithm::Sha512 => Some(&RSA_PSS_2048_8192_SHA512),
    }
}

/// FIPS 186-5, 6.4.2: the curve of the hash's strength, with the length of a scalar.
fn ecdsa(hash: HashAlgorithm) -> Option<(&'static dyn VerificationAlgorithm, usize)> {
    match hash {
        HashAlgorithm::Sha256 => Some((&ECDSA_P256_SHA256_FIXED, 32)),
        HashAlgorithm::Sha384 => Some((&ECDSA_P384_SHA384_FIXED, 48)),
        HashAlgorithm::Sha1 | HashAlgorithm::Sha512 => None,
    }
}

/// Two numbers, each of `size` bytes, with the leading zeros that a TPM may leave out (Part 2, 11.2.5.1).
fn fixed(first: &[u8], second: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; 2 * size];
    for (room, number) in out.chunks_exact_mut(size).zip([first, second]) {
        let start = size.checked_sub(number.len())?;
        room.get_mut(start..)?.copy_from_slice(number);
    }
    Some(out)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
