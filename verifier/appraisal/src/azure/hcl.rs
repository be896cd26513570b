//! What the vTPM has at NV index 0x01400001.

use crate::tpm::buffer::{Reader, StructureError};
use thiserror::Error;

/// Length of the hardware report's area.
const AREA: usize = 1184;
/// Length of a TDREPORT (Intel TDX Module ABI, `TDREPORT_STRUCT`).
const TDREPORT: usize = 1024;

/// Length of what stands before the document of runtime data.
const FIELDS: u32 = 20;

/// Why bytes are no report of the HCL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HclError {
    /// They end early.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// A field has another value than known ones.
    #[error("{what} of the HCL report is {found}, wanted {wanted}; read NV index 0x01400001 again and send it unchanged")]
    Value {
        /// Field.
        what: &'static str,
        /// What was there.
        found: u32,
        /// What has to be there.
        wanted: &'static str,
    },
}

/// The hardware's report inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware<'a> {
    /// An SEV-SNP `ATTESTATION_REPORT`, signed.
    Snp(&'a [u8]),
    /// A `TDREPORT_STRUCT`: only the machine that made it can check its MAC, so a quote has to say the same.
    Tdx(&'a [u8]),
}

/// A parsed report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HclReport<'a> {
    /// Version of the header.
    pub version: u32,
    /// The hardware's report.
    pub hardware: Hardware<'a>,
    /// The JSON document that it covers, as it stands there.
    pub runtime_data: &'a [u8],
}

impl<'a> HclReport<'a> {
    /// Reads the contents of the NV index, whose end is filled with zeros.
    ///
    /// # Errors
    /// [`HclError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HclError> {
        let mut reader = Reader::new("HCL report", bytes);
        let magic = u32::from_be_bytes(reader.array()?);
        wanted("signature", magic, |found| found == u32::from_be_bytes(*b"HCLA"), "HCLA")?;
        let version = le(&mut reader)?;
        wanted("version", version, |found| (1..=2).contains(&found), "1 or 2")?;
        // The length: implementations differ in what they count, and nothing rests on it.
        reader.take(4)?;
        let request = le(&mut reader)?;
        wanted("request type", request, |found| found == 2, "2 (AK certificate)")?;
        reader.take(16)?;
        let area = reader.take(AREA)?;
        let (kind, runtime_data) = runtime_data(&mut reader)?;
        let rest = reader.left();
        let filled = reader.take(rest)?.iter().all(|byte| *byte == 0);
        wanted("filling at the end", u32::from(!filled), |found| found == 0, "zeros")?;
        let hardware = if kind == 2 { Hardware::Snp(area) } else { Hardware::Tdx(area.get(..TDREPORT).unwrap_or_default()) };
        Ok(Self { version, hardware, runtime_data })
    }

    /// The 64 bytes that the hardware's report is over.
    #[must_use]
    pub fn report_data(&self) -> Option<&'a [u8; 64]> {
        let (report, at) = match self.hardware {
            // SEV-SNP ABI 1.55, table 22.
            Hardware::Snp(report) => (report, 0x50),
            // REPORTMACSTRUCT.REPORTDATA.
            Hardware::Tdx(report) => (report, 0x80),
        };
        report.get(at..)?.first_chunk()
    }
}

/// The document of a `RuntimeData` structure that stands alone; `None` if the bytes are none.
#[must_use]
pub fn runtime_data_of(bytes: &[u8]) -> Option<&[u8]> {
    runtime_data(&mut Reader::new("runtime data", bytes)).ok().map(|(_, document)| document).filter(|document| document.starts_with(b"{"))
}

/// Kind of the hardware's report, and the document: size, version, report type, hash type, length, JSON.
fn runtime_data<'a>(reader: &mut Reader<'a>) -> Result<(u32, &'a [u8]), HclError> {
    let size = le(reader)?;
    let version = le(reader)?;
    wanted("version of the runtime data", version, |found| found == 1, "1")?;
    let kind = le(reader)?;
    wanted("report type", kind, |found| found == 2 || found == 4, "2 (SNP) or 4 (TDX)")?;
    let hash = le(reader)?;
    wanted("hash type", hash, |found| found == 1, "1 (SHA-256)")?;
    let length = le(reader)?;
    wanted("size of the runtime data", size, |found| found.checked_sub(FIELDS) == Some(length), "the length of its fields and document")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok((kind, reader.take(length)?))
}

fn le(reader: &mut Reader<'_>) -> Result<u32, StructureError> {
    reader.array().map(u32::from_le_bytes)
}

fn wanted(what: &'static str, found: u32, holds: impl Fn(u32) -> bool, wanted: &'static str) -> Result<(), HclError> {
    podseal_protocol::require(holds(found), HclError::Value { what, found, wanted })
}
