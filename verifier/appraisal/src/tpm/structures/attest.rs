//! `TPMS_ATTEST`: what a TPM signs.

use super::selection::{PcrSelection, read_selections};
use crate::tpm::buffer::{Reader, StructureError};

/// `TPM_GENERATED_VALUE` (Part 2, 6.2): a restricted key never signs outside data that begins with it.
const TPM_GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE` (Part 2, 6.9).
const ST_ATTEST_QUOTE: u16 = 0x8018;
/// `TPM_ST_ATTEST_CERTIFY` (Part 2, 6.9).
const ST_ATTEST_CERTIFY: u16 = 0x8017;
/// `TPM_ST_ATTEST_CREATION` (Part 2, 6.9).
const ST_ATTEST_CREATION: u16 = 0x801a;

/// `TPMS_CLOCK_INFO` (Part 2, 10.11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds that the TPM was powered since its owner was last cleared.
    pub clock: u64,
    /// TPM resets since then.
    pub reset_count: u32,
    /// TPM restarts and resumes since the last reset.
    pub restart_count: u32,
    /// No value of `clock` greater than this was reported before.
    pub safe: bool,
}

/// `TPMU_ATTEST` (Part 2, 10.12.7), of the types that evidence carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attested<'a> {
    /// `TPMS_QUOTE_INFO`.
    Quote {
        /// Which registers of which banks, as signed.
        selections: Vec<PcrSelection>,
        /// Digest over their values, by the hash of the signing scheme.
        digest: &'a [u8],
    },
    /// `TPMS_CERTIFY_INFO`.
    Certify {
        /// Name of the object, which is loaded in the TPM that says so.
        name: &'a [u8],
    },
    /// `TPMS_CREATION_INFO`.
    Creation {
        /// Name of the object.
        name: &'a [u8],
        /// Digest of its `TPMS_CREATION_DATA`.
        creation_hash: &'a [u8],
    },
}

/// `TPMS_ATTEST` (Part 2, 10.12.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attest<'a> {
    /// Qualified name of the signing key.
    pub qualified_signer: &'a [u8],
    /// The caller's qualifying data.
    pub extra_data: &'a [u8],
    /// State of the TPM's clock.
    pub clock: ClockInfo,
    /// Vendor's firmware version.
    pub firmware_version: u64,
    /// What is attested.
    pub attested: Attested<'a>,
}

impl<'a> Attest<'a> {
    /// Reads the contents of a `TPM2B_ATTEST`.
    ///
    /// # Errors
    /// [`StructureError`] if the magic is not `TPM_GENERATED_VALUE`, the type is another, or the ends don't meet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StructureError> {
        let mut reader = Reader::new("TPMS_ATTEST", bytes);
        let magic = reader.u32()?;
        if magic != TPM_GENERATED {
            return Err(StructureError::Value { what: "magic of TPMS_ATTEST", found: u64::from(magic) });
        }
        let kind = reader.u16()?;
        let qualified_signer = reader.tpm2b()?;
        let extra_data = reader.tpm2b()?;
        let clock = read_clock(&mut reader)?;
        let firmware_version = reader.u64()?;
        let attested = match kind {
            ST_ATTEST_QUOTE => Attested::Quote { selections: read_selections(&mut reader)?, digest: reader.tpm2b()? },
            ST_ATTEST_CERTIFY => {
                let name = reader.tpm2b()?;
                // The qualified name says which keys are above it: any hierarchy will do.
                reader.tpm2b()?;
                Attested::Certify { name }
            }
            ST_ATTEST_CREATION => Attested::Creation { name: reader.tpm2b()?, creation_hash: reader.tpm2b()? },
            found => return Err(StructureError::Unsupported { what: "type of TPMS_ATTEST", found }),
        };
        reader.finish()?;
        Ok(Self { qualified_signer, extra_data, clock, firmware_version, attested })
    }
}

fn read_clock(reader: &mut Reader<'_>) -> Result<ClockInfo, StructureError> {
    let clock = reader.u64()?;
    let reset_count = reader.u32()?;
    let restart_count = reader.u32()?;
    // Part 2, 9.3: TPMI_YES_NO is 0 or 1.
    let safe = match reader.u8()? {
        0 => false,
        1 => true,
        found => return Err(StructureError::Value { what: "safe flag of TPMS_CLOCK_INFO", found: u64::from(found) }),
    };
    Ok(ClockInfo { clock, reset_count, restart_count, safe })
}
