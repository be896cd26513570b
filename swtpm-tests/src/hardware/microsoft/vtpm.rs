//! What Azure's image finds in its virtual TPM: the attestation key, and both indices.

use super::{AK, CHUNK, DATA, HCL_REPORT, REPORT_DATA, REPORT_SIZE};
use crate::error::BenchError;
use crate::hardware::packet::{NV_DEFINE_SPACE, NV_WRITE, OWNER, Reader, sized, with_empty_password};
use crate::raw_tpm::{RawTpm, ST_NO_SESSIONS, ST_SESSIONS};

/// `TPM2_CreatePrimary`, `TPM2_EvictControl`, `TPM2_FlushContext` (TPM 2.0 part 3, sections 24.1, 28.5, 28.4).
const CREATE_PRIMARY: u32 = 0x131;
const EVICT_CONTROL: u32 = 0x120;
const FLUSH_CONTEXT: u32 = 0x165;
/// `TPM_RH_ENDORSEMENT`.
const ENDORSEMENT: u32 = 0x4000_000b;
/// Owner and authorization value read and write (part 2, section 13.4).
const INDEX_ATTRIBUTES: u32 = 0x0006_0006;
/// TPMT_PUBLIC up to the modulus: RSA, SHA-256; fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign; no policy; no symmetric
/// algorithm, RSASSA with SHA-256, 2048 bits, the default exponent (part 2, section 12.2.4).
const AK_TEMPLATE: [u8; 22] = [0, 1, 0, 0x0b, 0, 5, 4, 0x72, 0, 0, 0, 0x10, 0, 0x14, 0, 0x0b, 8, 0, 0, 0, 0, 0];

/// Makes key and indices; the key's modulus, big-endian.
pub(super) fn provision(tpm: &mut RawTpm) -> Result<Vec<u8>, BenchError> {
    for (index, size) in [(REPORT_DATA, DATA), (HCL_REPORT, REPORT_SIZE)] {
        define(tpm, index, size)?;
        write(tpm, index, &vec![0; size])?;
    }
    // An empty TPM2B_SENSITIVE_CREATE has two empty buffers in it; no outside information, no registers.
    let public = [&AK_TEMPLATE[..], &[0, 0]].concat();
    let parameters = [sized(&[0; 4]), sized(&public), sized(&[]), vec![0; 4]].concat();
    let reply = tpm.command(ST_SESSIONS, CREATE_PRIMARY, &with_empty_password(&[ENDORSEMENT], &parameters))?;
    let mut reader = Reader(&reply);
    let made = || BenchError::answer("CreatePrimary", format!("{reply:02x?}"), "an RSA key of this template");
    let handle = reader.u32().ok_or_else(made)?;
    let public = reader.u32().and_then(|_parameter_size| reader.sized()).ok_or_else(made)?;
    let modulus = public.strip_prefix(&AK_TEMPLATE).and_then(|unique| Reader(unique).sized()).ok_or_else(made)?.to_vec();
    tpm.command(ST_SESSIONS, EVICT_CONTROL, &with_empty_password(&[OWNER, handle], &AK.to_be_bytes()))?;
    tpm.command(ST_NO_SESSIONS, FLUSH_CONTEXT, &handle.to_be_bytes())?;
    Ok(modulus)
}

fn define(tpm: &mut RawTpm, index: u32, size: usize) -> Result<(), BenchError> {
    // TPMS_NV_PUBLIC: index, SHA-256, attributes, no policy, size.
    let attributes = INDEX_ATTRIBUTES.to_be_bytes();
    let public = [&index.to_be_bytes()[..], &[0, 0x0b], &attributes, &[0, 0], &(size as u16).to_be_bytes()].concat();
    let parameters = [sized(&[]), sized(&public)].concat();
    tpm.command(ST_SESSIONS, NV_DEFINE_SPACE, &with_empty_password(&[OWNER], &parameters)).map(drop)
}

/// Writes an index from its beginning on, as its owner.
pub(super) fn write(tpm: &mut RawTpm, index: u32, bytes: &[u8]) -> Result<(), BenchError> {
    for (chunk, at) in bytes.chunks(CHUNK).zip((0_u16..).step_by(CHUNK)) {
        let parameters = [&sized(chunk)[..], &at.to_be_bytes()].concat();
        tpm.command(ST_SESSIONS, NV_WRITE, &with_empty_password(&[OWNER, index], &parameters))?;
    }
    Ok(())
}
