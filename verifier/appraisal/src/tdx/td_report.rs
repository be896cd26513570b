//! What the TDX module reports about a trust domain (TD), as it stands in a quote.

use crate::tpm::buffer::{Reader, StructureError};

/// `TD Quote Body` of TDX 1.0 (584 bytes) or 1.5 (648 bytes); Intel TDX DCAP Quoting Library API, A.3.2 and A.3.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdReport {
    /// Security versions of the platform's TDX parts: module minor, module major, late microcode, …
    pub tee_tcb_svn: [u8; 16],
    /// SHA-384 measurement of the TDX module.
    pub mrseam: [u8; 48],
    /// Signer of the TDX module; zero for Intel's.
    pub mrsignerseam: [u8; 48],
    /// Attributes of the TDX module.
    pub seamattributes: [u8; 8],
    /// Attributes of the TD, a bit field; see [`TdReport::attributes`].
    pub tdattributes: [u8; 8],
    /// Extended features that the TD may use.
    pub xfam: [u8; 8],
    /// SHA-384 measurement of what the TD was built from.
    pub mrtd: [u8; 48],
    /// What the owner says of the TD's configuration, not measured by anything.
    pub mrconfigid: [u8; 48],
    /// What the owner says of itself.
    pub mrowner: [u8; 48],
    /// What the owner says of its configuration.
    pub mrownerconfig: [u8; 48],
    /// Measurement registers that the TD extends, SHA-384 each.
    pub rtmrs: [[u8; 48]; 4],
    /// What the TD had quoted.
    pub reportdata: [u8; 64],
    /// What only TDX 1.5 reports.
    pub extended: Option<Extended>,
}

/// The end of a body of TDX 1.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// Security versions of the TDX module that runs now; the TD may have been started under an older one.
    pub tee_tcb_svn2: [u8; 16],
    /// SHA-384 over the service TDs that are bound to this one; zero without any.
    pub mrservicetd: [u8; 48],
}

impl TdReport {
    /// Bytes of a body of TDX 1.0.
    pub(super) const SIZE: usize = 584;
    /// Bytes of a body of TDX 1.5.
    pub(super) const EXTENDED_SIZE: usize = 648;

    /// Reads a body, which ends where `bytes` do.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, StructureError> {
        let mut reader = Reader::new("TD quote body", bytes);
        let report = Self {
            tee_tcb_svn: reader.array()?,
            mrseam: reader.array()?,
            mrsignerseam: reader.array()?,
            seamattributes: reader.array()?,
            tdattributes: reader.array()?,
            xfam: reader.array()?,
            mrtd: reader.array()?,
            mrconfigid: reader.array()?,
            mrowner: reader.array()?,
            mrownerconfig: reader.array()?,
            rtmrs: [reader.array()?, reader.array()?, reader.array()?, reader.array()?],
            reportdata: reader.array()?,
            extended: match reader.left() {
                0 => None,
                _ => Some(Extended { tee_tcb_svn2: reader.array()?, mrservicetd: reader.array()? }),
            },
        };
        reader.finish()?;
        Ok(report)
    }

    /// Attributes of the TD as a number: bit 0 is DEBUG.
    #[must_use]
    pub fn attributes(&self) -> u64 {
        u64::from_le_bytes(self.tdattributes)
    }

    /// Whether the host may read and change the TD.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.attributes() & 1 == 1
    }

    /// Whether service TDs are bound to this one.
    #[must_use]
    pub fn has_service_td(&self) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.mrservicetd != [0; 48])
    }
}
