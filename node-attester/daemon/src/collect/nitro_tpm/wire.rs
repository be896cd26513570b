//! Commands and responses of a TPM, big-endian (TPM 2.0 Part 1, section 18; Part 3 for each command).

use super::transport::Transport;
use crate::collect::CollectError;

/// TPM_ST_NO_SESSIONS and TPM_ST_SESSIONS (Part 2, section 6.9).
pub(super) const NO_SESSIONS: u16 = 0x8001;
pub(super) const SESSIONS: u16 = 0x8002;
/// TPM_RS_PW (Part 2, section 7.4): an authorization by password.
const PASSWORD: u32 = 0x4000_0009;
/// TPM_RH_NULL.
pub(super) const NULL: u32 = 0x4000_0007;
/// TPM_ALG_NULL, TPM_ALG_SHA512 (Part 2, section 6.3).
pub(super) const ALG_NULL: u16 = 0x0010;
pub(super) const SHA512: u16 = 0x000d;

/// Tag, size, and command or response code.
pub(super) const HEADER: usize = 10;

/// TPM_CC_GetCapability, TPM_CC_FlushContext.
const GET_CAPABILITY: u32 = 0x0000_017a;
const FLUSH_CONTEXT: u32 = 0x0000_0165;
/// TPM_CAP_HANDLES, TPM_CAP_TPM_PROPERTIES.
const HANDLES: u32 = 1;
const PROPERTIES: u32 = 6;
/// TPM_PT_MANUFACTURER, TPM_PT_NV_BUFFER_MAX (Part 2, section 6.13).
pub(super) const MANUFACTURER: u32 = 0x0105;
pub(super) const NV_BUFFER_MAX: u32 = 0x012c;

/// A command that is being written.
pub(super) struct Command(Vec<u8>);

impl Command {
    pub(super) fn new(tag: u16, code: u32) -> Self {
        Self(Vec::new()).u16(tag).u32(0).u32(code)
    }

    pub(super) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A TPM2B. All that are written here are shorter than a command.
    pub(super) fn sized(self, bytes: &[u8]) -> Self {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX)).bytes(bytes)
    }

    /// The authorization area.
    pub(super) fn authorization(self, area: &[u8]) -> Self {
        self.u32(u32::try_from(area.len()).unwrap_or(u32::MAX)).bytes(area)
    }

    /// An authorization area with a password.
    pub(super) fn password(self, password: &[u8]) -> Self {
        let area = Self(Vec::new()).u32(PASSWORD).sized(&[]).u8(0).sized(password);
        self.authorization(&area.0)
    }

    /// The command, its size written.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let size = u32::try_from(self.0.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.0.iter_mut().skip(2).zip(size).for_each(|(to, from)| *to = from);
        self.0
    }
}

/// What follows a response's header. Reading past its end gives nothing.
pub(super) struct Response(pub(super) Vec<u8>, pub(super) usize);

impl Response {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&[u8]> {
        let from = self.1;
        self.1 = from.saturating_add(length);
        self.0.get(from..self.1)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn sized(&mut self) -> Option<&[u8]> {
        let length = self.u16()?;
        self.bytes(length.into())
    }
}

/// One of the TPM's properties.
pub(super) fn property(tpm: &mut Transport, property: u32) -> Result<u32, CollectError> {
    let command = Command::new(NO_SESSIONS, GET_CAPABILITY).u32(PROPERTIES).u32(property).u32(1);
    let mut response = tpm.send("TPM2_GetCapability", command, "see whether the TPM works: tpm2_getcap properties-fixed")?;
    // moreData, capability, count; then property and value.
    let mut read = || {
        let (_, _, count, found, value) = (response.u8()?, response.u32()?, response.u32()?, response.u32()?, response.u32()?);
        (count >= 1 && found == property).then_some(value)
    };
    read().ok_or_else(|| tpm.malformed("TPM2_GetCapability"))
}

/// Handles in use from `first` on, ascending, as many as the TPM tells at once.
pub(super) fn handles(tpm: &mut Transport, first: u32, most: u32) -> Result<Vec<u32>, CollectError> {
    let command = Command::new(NO_SESSIONS, GET_CAPABILITY).u32(HANDLES).u32(first).u32(most);
    let mut response = tpm.send("TPM2_GetCapability", command, "see whether the TPM works: tpm2_getcap handles-nv-index")?;
    let mut read = || {
        let (_, _, count) = (response.u8()?, response.u32()?, response.u32()?);
        (0..count).map(|_| response.u32()).collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| tpm.malformed("TPM2_GetCapability"))
}

pub(super) fn flush(tpm: &mut Transport, handle: u32) -> Result<(), CollectError> {
    let command = Command::new(NO_SESSIONS, FLUSH_CONTEXT).u32(handle);
    tpm.send("TPM2_FlushContext", command, "boot the machine if its TPM has no slots left").map(drop)
}
