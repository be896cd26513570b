//! `ATTESTATION_REPORT` (AMD 56860, table 23), byte by byte.

use super::tcb::{Product, Tcb};
use super::words::{Cpuid, FirmwareVersion, SigningKey};
use crate::tpm::buffer::{Reader, StructureError};
use thiserror::Error;

/// Length of every report.
const LENGTH: usize = 0x4a0;
/// What the signature covers, from the report's first byte.
const SIGNED: usize = 0x2a0;
/// Versions whose fields are known. Version 1 is that of prototypes: readable, and never believed.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=5;

/// Bits of `KEY_INFO` that have a meaning.
const KEY_INFO_BITS: u32 = 5;

/// Why bytes are no report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// Too short or too long.
    #[error("a report has {LENGTH} bytes, these are {found}; send what the firmware returned, without header or padding")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// A layout from before or after this program's time.
    #[error("the report has version {found}, versions 2 to 5 are supported; ask the firmware for one of these")]
    Version {
        /// What the report says.
        found: u32,
    },
    /// A field ends outside of the bytes.
    #[error(transparent)]
    Structure(#[from] StructureError),
}

/// What a report says: every field, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Layout, 1 to 5.
    pub version: u32,
    /// Security version that the guest's owner gave its image.
    pub guest_svn: u32,
    /// What the guest lets the host do.
    pub policy: u64,
    /// Family of the image, from its owner.
    pub family_id: [u8; 16],
    /// Image, from its owner.
    pub image_id: [u8; 16],
    /// Privilege level that asked for the report, 0 to 3; all ones where the host asked.
    pub vmpl: u32,
    /// 1: ECDSA P-384 with SHA-384.
    pub signature_algo: u32,
    /// TCB version running now, as it came; [`Body::tcb`] reads it.
    pub current_tcb: [u8; 8],
    /// What the platform has switched on.
    pub platform_info: u64,
    /// Bits: author key there, chip key masked, signing key.
    pub key_info: u32,
    /// What the guest wanted in its report: the binding or the nonce.
    pub report_data: [u8; 64],
    /// SHA-384 over the guest's memory at launch.
    pub measurement: [u8; 48],
    /// What the host gave at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the guest's identity block; zero without one.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified that key; zero without one.
    pub author_key_digest: [u8; 48],
    /// Drawn at launch; stays for the guest's life.
    pub report_id: [u8; 32],
    /// The same of its migration agent; all ones without one.
    pub report_id_ma: [u8; 32],
    /// TCB version that the signing key is for.
    pub reported_tcb: [u8; 8],
    /// The processor; from version 3 on.
    pub cpuid: Option<Cpuid>,
    /// The chip; zero under a VLEK, or where the host hides it. Turin: eight bytes, then zero.
    pub chip_id: [u8; 64],
    /// TCB version below which the platform can't go back.
    pub committed_tcb: [u8; 8],
    /// Firmware that runs.
    pub current_version: FirmwareVersion,
    /// Firmware below which the platform can't go back.
    pub committed_version: FirmwareVersion,
    /// TCB version when the guest was launched or came over.
    pub launch_tcb: [u8; 8],
    /// Mitigations in force at launch and now, a bit each; from version 5 on.
    pub mitigations: Option<[u64; 2]>,
}

impl Body {
    /// Whether the host may read the guest's memory (`POLICY` bit 19).
    #[must_use]
    pub fn debug(&self) -> bool {
        self.policy & 1 << 19 != 0
    }

    /// Whether a migration agent may take the guest elsewhere (`POLICY` bit 18).
    #[must_use]
    pub fn migration_agent(&self) -> bool {
        self.policy & 1 << 18 != 0
    }

    /// Whether two guests may share a core (`POLICY` bit 16).
    #[must_use]
    pub fn smt(&self) -> bool {
        self.policy & 1 << 16 != 0
    }

    /// Whether the firmware looked for aliased memory since it was last reset (`PLATFORM_INFO` bit 5, AMD SB-3015).
    #[must_use]
    pub fn alias_checked(&self) -> bool {
        self.platform_info & 1 << 5 != 0
    }

    /// Whether the report has a digest of an author key.
    #[must_use]
    pub fn author_key(&self) -> bool {
        self.key_info & 1 != 0
    }

    /// Whether the host forbade to sign with the chip's key.
    #[must_use]
    pub fn chip_key_masked(&self) -> bool {
        self.key_info & 2 != 0
    }

    /// Which key signed.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        match self.key_info >> 2 & 7 {
            0 => SigningKey::Vcek,
            1 => SigningKey::Vlek,
            7 => SigningKey::None,
            other => SigningKey::Reserved(other.to_le_bytes()[0]),
        }
    }

    /// The processor's generation; `None` below version 3, and for a processor that nobody here knows.
    #[must_use]
    pub fn product(&self) -> Option<Product> {
        self.cpuid.and_then(Product::of_cpuid)
    }

    fn read(reader: &mut Reader<'_>) -> Result<(Self, bool), StructureError> {
        let u32 = |reader: &mut Reader<'_>| reader.array().map(u32::from_le_bytes);
        let u64 = |reader: &mut Reader<'_>| reader.array().map(u64::from_le_bytes);
        let version = u32(reader)?;
        let (guest_svn, policy, family_id, image_id) = (u32(reader)?, u64(reader)?, reader.array()?, reader.array()?);
        let (vmpl, signature_algo, current_tcb) = (u32(reader)?, u32(reader)?, reader.array()?);
        let (platform_info, key_info) = (u64(reader)?, u32(reader)?);
        let mut reserved = all_zero(reader.take(4)?) && key_info >> KEY_INFO_BITS == 0;
        let (report_data, measurement, host_data) = (reader.array()?, reader.array()?, reader.array()?);
        let (id_key_digest, author_key_digest) = (reader.array()?, reader.array()?);
        let (report_id, report_id_ma, reported_tcb) = (reader.array()?, reader.array()?, reader.array()?);
        let [family, model, stepping] = reader.array()?;
        let cpuid = (version >= 3).then_some(Cpuid { family, model, stepping });
        reserved &= cpuid.is_some() || [family, model, stepping] == [0; 3];
        reserved &= all_zero(reader.take(21)?);
        let (chip_id, committed_tcb) = (reader.array()?, reader.array()?);
        let (current_version, current_reserved) = firmware(reader)?;
        let (committed_version, committed_reserved) = firmware(reader)?;
        let launch_tcb = reader.array()?;
        let vectors = [u64(reader)?, u64(reader)?];
        let mitigations = (version >= 5).then_some(vectors);
        reserved &= mitigations.is_some() || vectors == [0; 2];
        reserved &= current_reserved == 0 && committed_reserved == 0;
        reserved &= all_zero(reader.take(152)?);
        let body = Self {
            version,
            guest_svn,
            policy,
            family_id,
            image_id,
            vmpl,
            signature_algo,
            current_tcb,
            platform_info,
            key_info,
            report_data,
            measurement,
            host_data,
            id_key_digest,
            author_key_digest,
            report_id,
            report_id_ma,
            reported_tcb,
            cpuid,
            chip_id,
            committed_tcb,
            current_version,
            committed_version,
            launch_tcb,
            mitigations,
        };
        Ok((body, reserved))
    }

    /// A TCB version of this report, in the layout of its processor; below version 3, of that which the certificate is for.
    #[must_use]
    pub fn tcb(&self, bytes: [u8; 8], certified: Option<Product>) -> Tcb {
        Tcb::of_bytes(bytes, self.product().or(certified))
    }
}

fn firmware(reader: &mut Reader<'_>) -> Result<(FirmwareVersion, u8), StructureError> {
    let [build, minor, major, reserved] = reader.array()?;
    Ok((FirmwareVersion { major, minor, build }, reserved))
}

fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A parsed report, of which nothing is known to be true yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<'a> {
    /// What it says.
    pub body: Body,
    /// The bytes that the signature covers.
    pub(super) signed: &'a [u8],
    /// r and s, 72 bytes each, little-endian.
    pub(super) signature: [[u8; 72]; 2],
    /// Whether every byte without a meaning is zero, behind the signature too.
    pub(super) reserved_zero: bool,
}

impl<'a> Report<'a> {
    /// Reads a report, with nothing before or behind it.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ReportError> {
        if bytes.len() != LENGTH {
            return Err(ReportError::Length { found: bytes.len() });
        }
        let mut reader = Reader::new("ATTESTATION_REPORT", bytes);
        let signed = reader.clone().take(SIGNED)?;
        let (body, reserved) = Body::read(&mut reader)?;
        if !VERSIONS.contains(&body.version) {
            return Err(ReportError::Version { found: body.version });
        }
        let signature = [reader.array()?, reader.array()?];
        let reserved_zero = reserved & all_zero(reader.take(368)?);
        reader.finish()?;
        Ok(Self { body, signed, signature, reserved_zero })
    }

    /// r and s as ECDSA wants them, 48 bytes each, big-endian; `None` if one is too large for the curve.
    pub(super) fn fixed_signature(&self) -> Option<[u8; 96]> {
        let mut fixed = [0; 96];
        let parts = fixed.chunks_exact_mut(48).zip(&self.signature);
        for (part, number) in parts {
            let (low, high) = number.split_first_chunk::<48>()?;
            if !all_zero(high) {
                return None;
            }
            part.copy_from_slice(low);
            part.reverse();
        }
        Some(fixed)
    }
}
