//! `COSE_Sign1` (RFC 9052, 4.2), as Nitro's documents and CWTs come in.
//!
//! Parsing only: nothing here decides whose signature would do. [`cbor`] goes over the bytes before any decoder does.

pub mod cbor;
#[cfg(test)]
pub(crate) mod tests;

use cbor::{CborError, Form};
use coset::{CborSerializable as _, CoseSign1, Header, TaggedCborSerializable as _};
use thiserror::Error;

/// Longest message taken, in bytes.
pub const LONGEST: usize = 64 << 10;
/// The tag of a `COSE_Sign1` in one byte (RFC 9052, 2).
const TAG: u8 = 0xd2;

/// Why bytes are no message.
#[derive(Debug, Error)]
pub enum CoseError {
    /// More than is taken.
    #[error("{found} bytes, at most {LONGEST} are taken")]
    TooLong {
        /// How many came.
        found: usize,
    },
    /// Not CBOR, or not in the form that is taken.
    #[error("no COSE_Sign1: {0}; send the bytes as they were issued")]
    Cbor(#[from] CborError),
    /// CBOR of another shape.
    #[error("no COSE_Sign1: {0}; send the array of protected header, unprotected header, payload and signature")]
    Shape(coset::CoseError),
    /// The payload was sent apart.
    #[error("the COSE_Sign1 has no payload in it; send it with its payload")]
    Detached,
}

/// A message with one signature, of which nothing is known to be true yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Sign1 {
    message: CoseSign1,
}

impl Sign1 {
    /// Reads a message, tagged (18) or not, without anything behind it.
    ///
    /// # Errors
    /// [`CoseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        if bytes.len() > LONGEST {
            return Err(CoseError::TooLong { found: bytes.len() });
        }
        let tagged = bytes.first() == Some(&TAG);
        let form = Form { tags: true, breaks: false };
        cbor::well_formed(bytes, form)?;
        let message = if tagged { CoseSign1::from_tagged_slice(bytes) } else { CoseSign1::from_slice(bytes) }.map_err(CoseError::Shape)?;
        let protected = message.protected.original_data.as_deref().unwrap_or_default();
        if !protected.is_empty() {
            cbor::well_formed(protected, form)?;
        }
        if message.payload.is_none() {
            return Err(CoseError::Detached);
        }
        Ok(Self { message })
    }

    /// The header that is signed.
    #[must_use]
    pub fn protected(&self) -> &Header {
        &self.message.protected.header
    }

    /// The same as it came.
    #[must_use]
    pub fn protected_bytes(&self) -> &[u8] {
        self.message.protected.original_data.as_deref().unwrap_or_default()
    }

    /// The header that nobody signed.
    #[must_use]
    pub fn unprotected(&self) -> &Header {
        &self.message.unprotected
    }

    /// What is signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.payload.as_deref().unwrap_or_default()
    }

    /// The signature, as long as its algorithm has it.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.message.signature
    }

    /// `Sig_structure` (RFC 9052, 4.4): what the signature is over, with protected header and payload as they came and nothing beside.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.message.tbs_data(&[])
    }
}
