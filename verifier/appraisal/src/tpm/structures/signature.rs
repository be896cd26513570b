//! `TPMT_SIGNATURE`.

use crate::tpm::HashAlgorithm;
use crate::tpm::buffer::{Reader, StructureError};

const ALG_RSASSA: u16 = 0x0014;
const ALG_RSAPSS: u16 = 0x0016;
const ALG_ECDSA: u16 = 0x0018;

/// `TPMT_SIGNATURE` (Part 2, 11.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature<'a> {
    /// RSASSA-PKCS1-v1_5.
    RsaSsa {
        /// Hash of the scheme.
        hash: HashAlgorithm,
        /// Signature, as long as the modulus.
        signature: &'a [u8],
    },
    /// RSASSA-PSS.
    RsaPss {
        /// Hash of the scheme.
        hash: HashAlgorithm,
        /// Signature, as long as the modulus.
        signature: &'a [u8],
    },
    /// ECDSA.
    EcDsa {
        /// Hash of the scheme.
        hash: HashAlgorithm,
        /// Big-endian, without fixed length.
        r: &'a [u8],
        /// Big-endian, without fixed length.
        s: &'a [u8],
    },
}

impl<'a> Signature<'a> {
    /// Reads a `TPMT_SIGNATURE`.
    ///
    /// # Errors
    /// [`StructureError`] if scheme or hash is another, or the ends don't meet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StructureError> {
        let mut reader = Reader::new("TPMT_SIGNATURE", bytes);
        let scheme = reader.u16()?;
        if ![ALG_RSASSA, ALG_RSAPSS, ALG_ECDSA].contains(&scheme) {
            return Err(StructureError::Unsupported { what: "signature scheme", found: scheme });
        }
        let hash = reader.u16()?;
        let hash = HashAlgorithm::from_id(hash).ok_or(StructureError::Unsupported { what: "hash of a signature", found: hash })?;
        let parsed = match scheme {
            ALG_RSASSA => Self::RsaSsa { hash, signature: reader.tpm2b()? },
            ALG_RSAPSS => Self::RsaPss { hash, signature: reader.tpm2b()? },
            _ => Self::EcDsa { hash, r: reader.tpm2b()?, s: reader.tpm2b()? },
        };
        reader.finish()?;
        Ok(parsed)
    }

    /// Hash of the scheme.
    #[must_use]
    pub fn hash(&self) -> HashAlgorithm {
        match *self {
            Self::RsaSsa { hash, .. } | Self::RsaPss { hash, .. } | Self::EcDsa { hash, .. } => hash,
        }
    }

    /// Scheme and hash in words: `RSASSA sha256`.
    #[must_use]
    pub fn scheme(&self) -> String {
        let (scheme, hash) = match self {
            Self::RsaSsa { hash, .. } => ("RSASSA", hash),
            Self::RsaPss { hash, .. } => ("RSAPSS", hash),
            Self::EcDsa { hash, .. } => ("ECDSA", hash),
        };
        format!("{scheme} {}", hash.name())
    }
}
