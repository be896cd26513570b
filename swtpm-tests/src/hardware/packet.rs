//! Commands and replies of a TPM as bytes, big-endian (TPM 2.0 part 1, section 18; part 3 for each command).

use std::io;
use std::net::TcpStream;

use crate::raw_tpm::{self, RS_PW, ST_NO_SESSIONS, ST_SESSIONS, header_word};

/// `TPM2_NV_DefineSpace`, `TPM2_NV_UndefineSpace`, `TPM2_NV_Write`, `TPM2_NV_Read` (part 3, section 31).
pub(super) const NV_DEFINE_SPACE: u32 = 0x12a;
pub(super) const NV_UNDEFINE_SPACE: u32 = 0x122;
pub(super) const NV_WRITE: u32 = 0x137;
pub(super) const NV_READ: u32 = 0x14e;
/// `TPM2_GetCapability`, `TPM2_PCR_Read`.
pub(super) const GET_CAPABILITY: u32 = 0x17a;
pub(super) const PCR_READ: u32 = 0x17e;
/// `TPM_RH_OWNER`.
pub(super) const OWNER: u32 = 0x4000_0001;
/// Tag, size, and command or response code.
pub(super) const HEADER: usize = 10;
/// A response code of this module's own firmware: TPM_RC_FAILURE.
pub(super) const FAILURE: u32 = 0x101;

/// A command or a reply that is taken apart; past its end there is nothing.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// What follows a packet's header.
    pub(super) fn behind_header(packet: &'a [u8]) -> Self {
        Self(packet.get(HEADER..).unwrap_or_default())
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| header_word(bytes, 0))
    }

    /// A TPM2B.
    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// The authorization area of a command.
    pub(super) fn authorization(&mut self) -> Option<Authorization<'a>> {
        let length = self.u32()?;
        let mut area = Reader(self.take(length as usize)?);
        let session = area.u32()?;
        let (_nonce, _attributes) = (area.sized()?, area.take(1)?);
        Some(Authorization { session, secret: area.sized()? })
    }
}

/// The first authorization of a command.
#[derive(Debug)]
pub(super) struct Authorization<'a> {
    /// The session's handle, or TPM_RS_PW.
    pub(super) session: u32,
    /// The password, or an HMAC.
    pub(super) secret: &'a [u8],
}

/// The command's or response's code.
pub(super) fn code(packet: &[u8]) -> u32 {
    header_word(packet, 6)
}

/// A TPM2B.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// A packet with this tag and code.
pub(super) fn packet(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    [&tag.to_be_bytes()[..], &((HEADER + body.len()) as u32).to_be_bytes(), &code.to_be_bytes(), body].concat()
}

/// A reply that says why not.
pub(super) fn refusal(code: u32) -> Vec<u8> {
    packet(ST_NO_SESSIONS, code, &[])
}

/// A reply of parameters to a command that was authorized by a password.
pub(super) fn reply_to_password(parameters: &[u8]) -> Vec<u8> {
    let body = [&(parameters.len() as u32).to_be_bytes()[..], parameters, &[0, 0, 1, 0, 0]].concat();
    packet(ST_SESSIONS, 0, &body)
}

/// Handles, an empty password for the first of them, and parameters: the body of a command.
pub(super) fn with_empty_password(handles: &[u32], parameters: &[u8]) -> Vec<u8> {
    let handles = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect::<Vec<_>>();
    [&handles[..], &9_u32.to_be_bytes(), &RS_PW.to_be_bytes(), &[0; 5], parameters].concat()
}

/// Sends a command that is authorized by the owner's empty password; what follows the header of its reply.
pub(super) fn as_owner(tpm: &mut TcpStream, code: u32, index: u32, parameters: &[u8]) -> io::Result<Vec<u8>> {
    send(tpm, ST_SESSIONS, code, &with_empty_password(&[OWNER, index], parameters))
}

/// Sends a command, again where the TPM asks for that; what follows the header of its reply.
pub(super) fn send(tpm: &mut TcpStream, tag: u16, command: u32, body: &[u8]) -> io::Result<Vec<u8>> {
    const RETRY: u32 = 0x922;
    loop {
        let reply = raw_tpm::exchange(tpm, &packet(tag, command, body))?;
        match code(&reply) {
            0 => return Ok(reply[HEADER..].to_vec()),
            RETRY => {}
            refused => return Err(io::Error::other(format!("TPM command {command:#x} was answered with {refused:#x}"))),
        }
    }
}
