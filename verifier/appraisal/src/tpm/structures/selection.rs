//! `TPML_PCR_SELECTION`.

use crate::tpm::buffer::{Reader, StructureError};

/// One `TPMS_PCR_SELECTION` (Part 2, 10.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcrSelection {
    /// `TPM_ALG_ID` of the bank.
    pub bank: u16,
    /// Bit n for PCR n.
    pub mask: u32,
}

/// Banks of one selection: `HASH_COUNT` of the reference code; no TPM has more.
const MOST_BANKS: u32 = 16;

/// Reads a `TPML_PCR_SELECTION` (Part 2, 10.9.7).
///
/// # Errors
/// [`StructureError`] if it is cut off, names more than 16 banks, or a bitmap is not 1 to 4 bytes long.
pub fn read_selections(reader: &mut Reader<'_>) -> Result<Vec<PcrSelection>, StructureError> {
    let count = reader.u32()?;
    if count > MOST_BANKS {
        return Err(StructureError::Value { what: "count of PCR selections", found: u64::from(count) });
    }
    (0..count).map(|_| read_selection(reader)).collect()
}

fn read_selection(reader: &mut Reader<'_>) -> Result<PcrSelection, StructureError> {
    let bank = reader.u16()?;
    let size = reader.u8()?;
    if !(1..=4).contains(&size) {
        return Err(StructureError::Value { what: "size of a PCR bitmap", found: u64::from(size) });
    }
    // Part 2, 10.6.1: bit n of octet m selects PCR 8 m + n.
    let mask = reader.take(usize::from(size))?.iter().rev().fold(0, |mask, octet| mask << 8 | u32::from(*octet));
    Ok(PcrSelection { bank, mask })
}
