//! The NV index that carries the request to the Nitro security module and its answer back.

use aws_lc_rs::{
    digest::{self, SHA512},
    rand,
};
use podseal_protocol::require;

use super::{
    transport::Transport,
    wire::{self, Command, SESSIONS},
};
use crate::collect::CollectError;

/// TPM 2.0 Part 3, section 31.
const DEFINE_SPACE: u32 = 0x0000_012a;
const UNDEFINE_SPACE: u32 = 0x0000_0122;
const WRITE: u32 = 0x0000_0137;
const READ: u32 = 0x0000_014e;
/// TPM_RH_OWNER.
const OWNER: u32 = 0x4000_0001;
/// The range of indices that owners define (TCG Registry of Reserved TPM 2.0 Handles and Localities, table 2).
const FIRST: u32 = 0x0180_0000;
/// Indices that are looked through for a free one.
const LOOKED_AT: u32 = 64;
/// TPMA_NV_AUTHWRITE, TPMA_NV_AUTHREAD, TPMA_NV_WRITTEN (Part 2, section 13.4).
const ATTRIBUTES: u32 = 0x0004_0004;
const WRITTEN: u32 = 0x2000_0000;
/// The size that Amazon's own tool takes: a document has some 5 KiB.
const SIZE: u16 = 8192;
/// TPM_RC_NV_DEFINED.
const DEFINED: u32 = 0x14c;

/// A defined index.
pub(super) struct Index {
    pub(super) handle: u32,
    /// Its authorization, known to nobody else. It ends in no zero, since a TPM cuts those off.
    pub(super) auth: [u8; 64],
    /// Its name once something is written (Part 1, section 16): a hash of its public area.
    pub(super) name: Vec<u8>,
}

pub(super) fn define(tpm: &mut Transport) -> Result<Index, CollectError> {
    let mut auth = [0; 64];
    rand::fill(&mut auth).map_err(|_| CollectError::Cryptography { step: "authorization of an NV index" })?;
    if let Some(last) = auth.last_mut() {
        *last |= 1;
    }
    let taken = wire::handles(tpm, FIRST, LOOKED_AT)?;
    let mut free = (FIRST..FIRST + LOOKED_AT).filter(|index| !taken.contains(index));
    loop {
        let handle = free.next().ok_or_else(|| no_index_left(tpm))?;
        let public = public(handle, ATTRIBUTES);
        let command = Command::new(SESSIONS, DEFINE_SPACE).u32(OWNER).password(&[]).sized(&auth).sized(&public);
        let remedy = "the owner's authorization has to be empty (tpm2_changeauth -c o), and the TPM has to take an index of 8192 bytes: NitroTPM does";
        match tpm.send("TPM2_NV_DefineSpace", command, remedy) {
            Err(CollectError::Tpm { code: DEFINED, .. }) => {}
            defined => return defined.map(|_| Index { handle, auth, name: name(handle) }),
        }
    }
}

/// Leaves nothing behind.
pub(super) fn undefine(tpm: &mut Transport, index: &Index) -> Result<(), CollectError> {
    let command = Command::new(SESSIONS, UNDEFINE_SPACE).u32(OWNER).u32(index.handle).password(&[]);
    tpm.send("TPM2_NV_UndefineSpace", command, "remove what is left: tpm2_getcap handles-nv-index, tpm2_nvundefine").map(drop)
}

pub(super) fn write(tpm: &mut Transport, index: &Index, bytes: &[u8]) -> Result<(), CollectError> {
    let most = chunk(tpm)?;
    let mut offset = 0_u16;
    for part in bytes.chunks(most.into()) {
        let command = Command::new(SESSIONS, WRITE).u32(index.handle).u32(index.handle).password(&index.auth);
        tpm.send("TPM2_NV_Write of the request", command.sized(part).u16(offset), "ask again")?;
        offset = offset.saturating_add(most);
    }
    Ok(())
}

pub(super) fn read(tpm: &mut Transport, index: &Index) -> Result<Vec<u8>, CollectError> {
    const STEP: &str = "TPM2_NV_Read of the answer";
    let most = chunk(tpm)?;
    let mut bytes = Vec::with_capacity(SIZE.into());
    for offset in (0..SIZE).step_by(most.into()) {
        let length = most.min(SIZE - offset);
        let command = Command::new(SESSIONS, READ).u32(index.handle).u32(index.handle).password(&index.auth);
        let mut response = tpm.send(STEP, command.u16(length).u16(offset), "ask again")?;
        // parameterSize
        let part = response.u32().and_then(|_| response.sized());
        let part = part.filter(|part| part.len() == usize::from(length)).ok_or_else(|| tpm.malformed(STEP))?;
        bytes.extend_from_slice(part);
    }
    Ok(bytes)
}

/// How much one command carries.
fn chunk(tpm: &mut Transport) -> Result<u16, CollectError> {
    let most = wire::property(tpm, wire::NV_BUFFER_MAX)?;
    let most = u16::try_from(most).unwrap_or(u16::MAX).min(1024);
    require(most > 0, tpm.malformed("TPM_PT_NV_BUFFER_MAX"))?;
    Ok(most)
}

/// TPMS_NV_PUBLIC (Part 2, section 13.5).
fn public(handle: u32, attributes: u32) -> Vec<u8> {
    [&handle.to_be_bytes()[..], &wire::SHA512.to_be_bytes(), &attributes.to_be_bytes(), &[0, 0], &SIZE.to_be_bytes()].concat()
}

fn name(handle: u32) -> Vec<u8> {
    let hash = digest::digest(&SHA512, &public(handle, ATTRIBUTES | WRITTEN));
    [&wire::SHA512.to_be_bytes(), hash.as_ref()].concat()
}

fn no_index_left(tpm: &Transport) -> CollectError {
    CollectError::Answer {
        path: tpm.path(),
        what: "NV indices",
        found: format!("{LOOKED_AT} from {FIRST:#010x} on in use"),
        wanted: "one that is free".into(),
        remedy: "remove what nobody needs: tpm2_getcap handles-nv-index, tpm2_nvundefine",
    }
}
