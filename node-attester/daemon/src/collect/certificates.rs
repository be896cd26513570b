//! The host's table of certificates that comes with an SEV-SNP report (AMD publication 56421, SEV-ES Guest-Hypervisor Communication Block
//! Standardization, section 4.1.8.1): entries of a GUID, an offset and a length, ended by one of zeros; then the certificates.
//!
//! The host writes the table, so nothing in it is trusted to be there.

use podseal_protocol::require;
use sev::firmware::host::CertType;

/// Bytes of one entry: GUID, offset, length.
const ENTRY: usize = 24;
/// Entries that are taken; the document knows five kinds.
const MOST_ENTRIES: usize = 16;

/// One entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it says that it is.
    pub kind: Kind,
    /// Certificate or revocation list in DER, or several in PEM.
    pub bytes: &'a [u8],
}

/// What an entry is, by its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The chip's own key, at one TCB.
    Vcek,
    /// A provider's key, at one TCB.
    Vlek,
    /// Signs VCEKs, or VLEKs.
    Ask,
    /// The root.
    Ark,
    /// The root's revocation list.
    Crl,
    /// Something else.
    Other,
}

impl Kind {
    /// The file that it is saved as.
    #[must_use]
    pub fn file(self) -> Option<&'static str> {
        match self {
            Self::Vcek => Some("vcek.der"),
            Self::Vlek => Some("vlek.der"),
            Self::Ask => Some("ask.der"),
            Self::Ark => Some("ark.der"),
            Self::Crl => Some("crl.der"),
            Self::Other => None,
        }
    }

    /// By the GUID, whose bytes stand in the order in which it is written.
    fn of(guid: u128) -> Self {
        let digits = format!("{guid:032x}");
        let known = [
            (CertType::VCEK, Self::Vcek),
            (CertType::VLEK, Self::Vlek),
            (CertType::ASK, Self::Ask),
            (CertType::ARK, Self::Ark),
            (CertType::CRL, Self::Crl),
        ];
        known.into_iter().find(|(theirs, _)| theirs.to_string().replace('-', "") == digits).map_or(Self::Other, |(_, kind)| kind)
    }
}

/// Why bytes are no such table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TableError {
    /// It has no end.
    #[error(
        "table of certificates: found no closing entry in {found} bytes, wanted one after at most {MOST_ENTRIES}: the host's configuration is wrong; fetch the certificates from AMD"
    )]
    Endless {
        /// How long the table is.
        found: usize,
    },
    /// A certificate lies outside.
    #[error(
        "table of certificates: found {length} bytes at {offset}, wanted them within its {size}: the host's configuration is wrong; fetch the certificates from AMD"
    )]
    Outside {
        /// Where it would begin.
        offset: u32,
        /// How long it would be.
        length: u32,
        /// How long the table is.
        size: usize,
    },
}

/// The table's entries. A table of zeros alone has none.
///
/// # Errors
/// [`TableError`].
pub fn entries(table: &[u8]) -> Result<Vec<Entry<'_>>, TableError> {
    let mut found = Vec::new();
    let (heads, _) = table.as_chunks::<ENTRY>();
    for head in heads {
        let mut fields = head.as_slice();
        let guid = u128::from_be_bytes(take(&mut fields));
        let (offset, length) = (u32::from_le_bytes(take(&mut fields)), u32::from_le_bytes(take(&mut fields)));
        if guid == 0 {
            return Ok(found);
        }
        require(found.len() < MOST_ENTRIES, TableError::Endless { found: table.len() })?;
        let bytes = table.get(offset as usize..).and_then(|rest| rest.get(..length as usize));
        let bytes = bytes.ok_or(TableError::Outside { offset, length, size: table.len() })?;
        found.push(Entry { kind: Kind::of(guid), bytes });
    }
    Err(TableError::Endless { found: table.len() })
}

/// The next bytes of an entry's head, which is as long as its fields.
fn take<const N: usize>(fields: &mut &[u8]) -> [u8; N] {
    let Some((field, rest)) = fields.split_first_chunk() else { return [0; N] };
    *fields = rest;
    *field
}
