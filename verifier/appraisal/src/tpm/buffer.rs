//! Reading with exact ends: whoever opens a buffer must come out at its last byte.

use thiserror::Error;

/// Why bytes are not the structure that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StructureError {
    /// The bytes end inside the structure.
    #[error("{what} ends early: {wanted} more bytes wanted, {left} left; collect it again and send it unchanged")]
    Truncated {
        /// Structure or field.
        what: &'static str,
        /// Bytes that the field takes.
        wanted: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// The structure ends before the bytes do.
    #[error("{what} is followed by {count} bytes that belong to nothing; send the structure without padding")]
    Trailing {
        /// Structure.
        what: &'static str,
        /// Bytes too many.
        count: usize,
    },
    /// A field has a value that the specification does not give it.
    #[error("{what} is {found:#x}, which the TPM 2.0 library specification does not allow here; send what the TPM returned, unchanged")]
    Value {
        /// Field.
        what: &'static str,
        /// What was there.
        found: u64,
    },
    /// An algorithm or a type that this verifier has no rules for.
    #[error("{what} {found:#06x} is not supported; use the key and quote types that docs/PROTOCOL.md names")]
    Unsupported {
        /// Field.
        what: &'static str,
        /// What was there.
        found: u16,
    },
}

/// A big-endian reader over borrowed bytes. No method panics and none allocates.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, naming them `what` in errors.
    #[must_use]
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`StructureError::Truncated`] if fewer are left; nothing is consumed then.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], StructureError> {
        let (head, tail) =
            self.rest.split_at_checked(count).ok_or(StructureError::Truncated { what: self.what, wanted: count, left: self.rest.len() })?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StructureError> {
        let (head, tail) =
            self.rest.split_first_chunk::<N>().ok_or(StructureError::Truncated { what: self.what, wanted: N, left: self.rest.len() })?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, StructureError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A big-endian `UINT16`.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, StructureError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian `UINT32`.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, StructureError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian `UINT64`.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u64(&mut self) -> Result<u64, StructureError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The contents of a `TPM2B`: a `UINT16` size and that many bytes.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn tpm2b(&mut self) -> Result<&'a [u8], StructureError> {
        let size = self.u16()?;
        self.take(usize::from(size))
    }

    /// Ends the structure here.
    ///
    /// # Errors
    /// [`StructureError::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), StructureError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(StructureError::Trailing { what: self.what, count }),
        }
    }
}

/// Takes a `TPM2B` that stands alone (`TPM2B_PUBLIC`, `TPM2B_ATTEST`, …) out of its size prefix.
///
/// # Errors
/// [`StructureError`] if size and length disagree.
pub fn unwrap_tpm2b<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], StructureError> {
    let mut reader = Reader::new(what, bytes);
    let inner = reader.tpm2b()?;
    reader.finish()?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tpm2b_ends_exactly() {
        assert_eq!(unwrap_tpm2b("t", &[0, 2, 7, 8]).unwrap(), [7, 8]);
        assert_eq!(unwrap_tpm2b("t", &[0, 2, 7]), Err(StructureError::Truncated { what: "t", wanted: 2, left: 1 }));
        assert_eq!(unwrap_tpm2b("t", &[0, 1, 7, 8]), Err(StructureError::Trailing { what: "t", count: 1 }));
        assert_eq!(unwrap_tpm2b("t", &[0]), Err(StructureError::Truncated { what: "t", wanted: 2, left: 1 }));
    }

    #[test]
    fn big_endian() {
        let mut reader = Reader::new("t", &[1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]);
        assert_eq!((reader.u8().unwrap(), reader.u16().unwrap(), reader.u32().unwrap(), reader.u64().unwrap()), (1, 2, 3, 4));
        reader.finish().unwrap();
    }
}
