//! The certificate table that a host hands out with an extended report (AMD 56421, 4.1.8.1): what the host has in its cache.

use thiserror::Error;

/// Entries that a table may have.
const MOST_ENTRIES: usize = 16;
/// GUID, offset, length.
const ENTRY: usize = 24;
/// As RFC 9562 writes them, most significant byte first.
const KNOWN: [u128; 5] = [
    0x63da_758d_e664_4564_adc5_f4b9_3be8_accd, // VCEK
    0xa807_4bc2_a25a_483e_aae6_39c0_45a0_b8a1, // VLEK
    0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782, // ASK, or ASVK
    0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae, // ARK
    0x92f8_1bc3_5811_4d3d_97ff_d19f_88dc_67ea, // revocation list
];

/// Why bytes are no certificate table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TableError {
    /// No entry of zeros ends it.
    #[error("the certificate table has no end among its first {MOST_ENTRIES} entries; send what the host returned, unchanged")]
    Endless,
    /// Two entries share bytes, or one reaches into the entries or beyond the table.
    #[error("an entry of the certificate table has {length} bytes at {offset}, where it can't; send what the host returned, unchanged")]
    Range {
        /// From the table's first byte.
        offset: u32,
        /// In bytes.
        length: u32,
    },
    /// Bytes outside of every entry.
    #[error("the certificate table has bytes from {offset} on that belong to no entry; send what the host returned, unchanged")]
    Trailing {
        /// From the table's first byte.
        offset: usize,
    },
}

/// A table, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateTable<'a> {
    /// Certificates and revocation lists, as they stand there. Entries under GUIDs that only the host knows are not among them.
    pub entries: Vec<&'a [u8]>,
}

impl<'a> CertificateTable<'a> {
    /// Reads a table; zeros may fill up the page behind it. No bytes at all are a table without entries.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn parse(table: &'a [u8]) -> Result<Self, TableError> {
        let mut ranges = Vec::new();
        let mut entries = Vec::new();
        let (headers, _) = table.as_chunks::<ENTRY>();
        let mut begin = 0;
        for header in headers.iter().take(MOST_ENTRIES + 1) {
            begin += ENTRY;
            if *header == [0; ENTRY] {
                return outside(table, begin, ranges).map(|()| Self { entries });
            }
            let (guid, offset, length) = fields(header);
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let until = from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            let bytes = table.get(from..until).ok_or(TableError::Range { offset, length })?;
            ranges.push((from, until));
            if KNOWN.contains(&guid) {
                entries.push(bytes);
            }
        }
        if table.is_empty() { Ok(Self { entries }) } else { Err(TableError::Endless) }
    }
}

/// The GUID in RFC 9562's order, whichever of the two it came in; offset and length.
fn fields(header: &[u8; ENTRY]) -> (u128, u32, u32) {
    let [guid @ .., o0, o1, o2, o3, l0, l1, l2, l3] = *header;
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid;
    let [i, j, k, l, m, n, o, p] = rest;
    let (plain, mixed) = (u128::from_be_bytes(guid), u128::from_be_bytes([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]));
    let guid = if KNOWN.contains(&mixed) { mixed } else { plain };
    (guid, u32::from_le_bytes([o0, o1, o2, o3]), u32::from_le_bytes([l0, l1, l2, l3]))
}

/// Nothing lies outside of the entries but zeros, and no byte belongs to two.
fn outside(table: &[u8], begin: usize, mut ranges: Vec<(usize, usize)>) -> Result<(), TableError> {
    ranges.sort_unstable();
    let mut end = begin;
    for (from, until) in ranges.into_iter().chain([(table.len(), table.len())]) {
        let told = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let gap = table.get(end..from).ok_or(TableError::Range { offset: told(from), length: told(until - from) })?;
        if gap.iter().any(|byte| *byte != 0) {
            return Err(TableError::Trailing { offset: end });
        }
        end = until;
    }
    Ok(())
}
