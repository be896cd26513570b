//! What the CPU reports about the quoting enclave.

use crate::tpm::buffer::{Reader, StructureError};

/// `sgx_report_body_t` (Intel SDM volume 3D, 38.15), without what nothing here reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnclaveReport {
    /// Security versions of the CPU.
    pub cpusvn: [u8; 16],
    /// Which exceptions the enclave reports, as it stands in memory.
    pub miscselect: [u8; 4],
    /// Attributes of the enclave, as they stand in memory.
    pub attributes: [u8; 16],
    /// SHA-256 measurement of the enclave.
    pub mrenclave: [u8; 32],
    /// SHA-256 of the key that signed the enclave.
    pub mrsigner: [u8; 32],
    /// Product number, of the signer's choice.
    pub isvprodid: u16,
    /// Security version of the enclave.
    pub isvsvn: u16,
    /// What the enclave had reported.
    pub reportdata: [u8; 64],
}

impl EnclaveReport {
    /// Its bytes.
    pub(super) const SIZE: usize = 384;

    /// Reads a report, which ends where `bytes` do.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, StructureError> {
        let mut reader = Reader::new("report of the quoting enclave", bytes);
        let (cpusvn, miscselect) = (reader.array()?, reader.array()?);
        reader.take(28)?;
        let (attributes, mrenclave) = (reader.array()?, reader.array()?);
        reader.take(32)?;
        let mrsigner = reader.array()?;
        reader.take(96)?;
        let (isvprodid, isvsvn) = (u16::from_le_bytes(reader.array()?), u16::from_le_bytes(reader.array()?));
        reader.take(60)?;
        let reportdata = reader.array()?;
        reader.finish()?;
        Ok(Self { cpusvn, miscselect, attributes, mrenclave, mrsigner, isvprodid, isvsvn, reportdata })
    }
}
