//! Keys of makers and of what they make.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RSA_PSS_SHA384, RsaKeyPair,
};

use super::der::{integer, oid, sequence, tlv};
use super::refused;
use crate::error::BenchError;

/// How an authority signs certificates and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes: AMD's.
    RsaPss,
    /// ECDSA on P-256 with SHA-256: Intel's.
    P256,
    /// ECDSA on P-384 with SHA-384: Amazon's.
    P384,
}

impl Scheme {
    /// `AlgorithmIdentifier`.
    pub(super) fn identifier(self) -> Vec<u8> {
        let sha384 = sequence(&[&oid(&[2, 16, 840, 1, 101, 3, 4, 2, 2]), &[5, 0]]);
        match self {
            Self::RsaPss => {
                let mgf1 = sequence(&[&oid(&[1, 2, 840, 113_549, 1, 1, 8]), &sha384]);
                let parameters = sequence(&[&tlv(0xa0, &[&sha384]), &tlv(0xa1, &[&mgf1]), &tlv(0xa2, &[&integer(48)])]);
                sequence(&[&oid(&[1, 2, 840, 113_549, 1, 1, 10]), &parameters])
            }
            Self::P256 => sequence(&[&oid(&[1, 2, 840, 10_045, 4, 3, 2])]),
            Self::P384 => sequence(&[&oid(&[1, 2, 840, 10_045, 4, 3, 3])]),
        }
    }
}

/// The key of an authority.
#[derive(Debug)]
pub(super) enum AuthorityKey {
    Rsa(RsaKeyPair),
    Ecdsa(Scheme, EcdsaKeyPair),
}

impl AuthorityKey {
    pub(super) fn new(scheme: Scheme) -> Result<Self, BenchError> {
        let ecdsa = |algorithm| Ok(Self::Ecdsa(scheme, generate(algorithm)?));
        match scheme {
            Scheme::RsaPss => Ok(Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(refused("an RSA key"))?)),
            Scheme::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Scheme::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        }
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Rsa(_) => Scheme::RsaPss,
            Self::Ecdsa(scheme, _) => *scheme,
        }
    }

    pub(super) fn spki(&self) -> Result<Vec<u8>, BenchError> {
        match self {
            Self::Rsa(key) => spki(key.public_key()),
            Self::Ecdsa(_, key) => spki(key.public_key()),
        }
    }

    /// A signature as certificates carry it.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BenchError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PSS_SHA384, &random, message, &mut signature).map_err(refused("an RSASSA-PSS signature"))?;
                Ok(signature)
            }
            Self::Ecdsa(_, key) => Ok(key.sign(&random, message).map_err(refused("an ECDSA signature"))?.as_ref().to_vec()),
        }
    }
}

/// A key that signs evidence: r and s follow each other, big-endian.
#[derive(Debug)]
pub(super) struct EvidenceKey(EcdsaKeyPair);

impl EvidenceKey {
    /// On P-256, with SHA-256.
    pub(super) fn p256() -> Result<Self, BenchError> {
        generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self)
    }

    /// On P-384, with SHA-384.
    pub(super) fn p384() -> Result<Self, BenchError> {
        generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self)
    }

    pub(super) fn spki(&self) -> Result<Vec<u8>, BenchError> {
        spki(self.0.public_key())
    }

    /// The point, without the byte that says that it is not compressed.
    pub(super) fn point(&self) -> Vec<u8> {
        self.0.public_key().as_ref()[1..].to_vec()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BenchError> {
        Ok(self.0.sign(&SystemRandom::new(), message).map_err(refused("an ECDSA signature"))?.as_ref().to_vec())
    }
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], BenchError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(refused("random bytes"))?;
    Ok(bytes)
}

fn generate(algorithm: &'static EcdsaSigningAlgorithm) -> Result<EcdsaKeyPair, BenchError> {
    EcdsaKeyPair::generate(algorithm).map_err(refused("an ECDSA key"))
}

fn spki<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Result<Vec<u8>, BenchError> {
    Ok(key.as_der().map_err(refused("a public key"))?.as_ref().to_vec())
}
