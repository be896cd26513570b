//! `TPMT_PUBLIC`: the public area of an object, and the name made from it.

use crate::hex;
use crate::tpm::HashAlgorithm;
use crate::tpm::buffer::{Reader, StructureError};
use std::fmt;

const ALG_RSA: u16 = 0x0001;
const ALG_NULL: u16 = 0x0010;
const ALG_RSAES: u16 = 0x0015;
const ALG_ECDAA: u16 = 0x001a;
const ALG_ECC: u16 = 0x0023;

/// `TPMA_OBJECT` (Part 2, 8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// The object never leaves this TPM.
    pub const FIXED_TPM: Self = Self(1 << 1);
    /// The object never gets another parent.
    pub const FIXED_PARENT: Self = Self(1 << 4);
    /// The TPM itself made the private part.
    pub const SENSITIVE_DATA_ORIGIN: Self = Self(1 << 5);
    /// The key signs or decrypts only what the TPM itself made.
    pub const RESTRICTED: Self = Self(1 << 16);
    /// The private part decrypts.
    pub const DECRYPT: Self = Self(1 << 17);
    /// The private part signs.
    pub const SIGN: Self = Self(1 << 18);

    /// Whether every bit of `wanted` is set.
    #[must_use]
    pub fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// `TPMT_SYM_DEF_OBJECT` (Part 2, 11.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symmetric {
    /// `TPM_ALG_ID` of the cipher.
    pub algorithm: u16,
    /// Key length in bits.
    pub bits: u16,
    /// `TPM_ALG_ID` of the mode.
    pub mode: u16,
}

/// An asymmetric scheme: `TPM_ALG_ID` and, where the scheme has one, its hash (Part 2, 11.2.3.5, 11.2.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// `TPM_ALG_ID` of the scheme.
    pub algorithm: u16,
    /// `TPM_ALG_ID` of its hash.
    pub hash: Option<u16>,
}

/// `TPMU_PUBLIC_PARMS` and `TPMU_PUBLIC_ID` of the two asymmetric types (Part 2, 12.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyParameters<'a> {
    /// `TPMS_RSA_PARMS` and `TPM2B_PUBLIC_KEY_RSA`.
    Rsa {
        /// Length of the modulus in bits.
        bits: u16,
        /// Public exponent; the TPM's 0 is given as 65537.
        exponent: u32,
        /// Modulus, big-endian.
        modulus: &'a [u8],
    },
    /// `TPMS_ECC_PARMS` and `TPMS_ECC_POINT`.
    Ecc {
        /// `TPM_ECC_CURVE`.
        curve: u16,
        /// Key derivation scheme.
        kdf: Option<Scheme>,
        /// Big-endian.
        x: &'a [u8],
        /// Big-endian.
        y: &'a [u8],
    },
}

/// `TPMT_PUBLIC` (Part 2, 12.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Public<'a> {
    /// Hash of the object's name and of its protection.
    pub name_algorithm: HashAlgorithm,
    /// Attributes.
    pub attributes: Attributes,
    /// Digest of the policy that use takes; empty if none.
    pub auth_policy: &'a [u8],
    /// Cipher that protects children; `None` for a key without any.
    pub symmetric: Option<Symmetric>,
    /// Scheme; `None` where use chooses it.
    pub scheme: Option<Scheme>,
    /// The key.
    pub key: KeyParameters<'a>,
    bytes: &'a [u8],
}

impl<'a> Public<'a> {
    /// Reads a `TPMT_PUBLIC` (the contents of a `TPM2B_PUBLIC`).
    ///
    /// # Errors
    /// [`StructureError`] if it is neither RSA nor ECC, or the ends don't meet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StructureError> {
        let mut reader = Reader::new("TPMT_PUBLIC", bytes);
        let kind = reader.u16()?;
        let name = reader.u16()?;
        let name_algorithm = HashAlgorithm::from_id(name).ok_or(StructureError::Unsupported { what: "name algorithm", found: name })?;
        let attributes = Attributes(reader.u32()?);
        let auth_policy = reader.tpm2b()?;
        if kind != ALG_RSA && kind != ALG_ECC {
            return Err(StructureError::Unsupported { what: "object type", found: kind });
        }
        let symmetric = read_symmetric(&mut reader)?;
        let scheme = read_scheme(&mut reader)?;
        let key = if kind == ALG_RSA { read_rsa(&mut reader)? } else { read_ecc(&mut reader)? };
        reader.finish()?;
        Ok(Self { name_algorithm, attributes, auth_policy, symmetric, scheme, key, bytes })
    }

    /// The object's name: `nameAlg` and the digest of the public area (Part 1, 16).
    #[must_use]
    pub fn name(&self) -> Name {
        let mut name = self.name_algorithm.id().to_be_bytes().to_vec();
        name.extend_from_slice(self.name_algorithm.digest(&[self.bytes]).as_ref());
        Name(name)
    }
}

/// Name of an object (`TPM2B_NAME`, its contents): algorithm identifier and digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// A name that was stored or sent; `None` if it is not a known algorithm and a digest of its length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (algorithm, digest) = bytes.split_first_chunk::<2>()?;
        let hash = HashAlgorithm::from_id(u16::from_be_bytes(*algorithm))?;
        (digest.len() == hash.size()).then(|| Self(bytes.to_vec()))
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name:{self}")
    }
}

fn read_symmetric(reader: &mut Reader<'_>) -> Result<Option<Symmetric>, StructureError> {
    match reader.u16()? {
        ALG_NULL => Ok(None),
        algorithm => Ok(Some(Symmetric { algorithm, bits: reader.u16()?, mode: reader.u16()? })),
    }
}

fn read_scheme(reader: &mut Reader<'_>) -> Result<Option<Scheme>, StructureError> {
    let algorithm = reader.u16()?;
    match algorithm {
        ALG_NULL => Ok(None),
        ALG_RSAES => Ok(Some(Scheme { algorithm, hash: None })),
        // Part 2, 11.2.1.4: TPMS_SCHEME_ECDAA has a counter after its hash.
        ALG_ECDAA => {
            let hash = reader.u16()?;
            reader.u16()?;
            Ok(Some(Scheme { algorithm, hash: Some(hash) }))
        }
        _ => Ok(Some(Scheme { algorithm, hash: Some(reader.u16()?) })),
    }
}

fn read_rsa<'a>(reader: &mut Reader<'a>) -> Result<KeyParameters<'a>, StructureError> {
    let bits = reader.u16()?;
    // Part 2, 12.2.3.5: 0 stands for 2^16 + 1.
    let exponent = match reader.u32()? {
        0 => 65_537,
        other => other,
    };
    Ok(KeyParameters::Rsa { bits, exponent, modulus: reader.tpm2b()? })
}

fn read_ecc<'a>(reader: &mut Reader<'a>) -> Result<KeyParameters<'a>, StructureError> {
    let curve = reader.u16()?;
    let kdf = read_scheme(reader)?;
    Ok(KeyParameters::Ecc { curve, kdf, x: reader.tpm2b()?, y: reader.tpm2b()? })
}
