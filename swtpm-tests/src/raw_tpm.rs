//! A TPM client of raw bytes (TPM 2.0 part 3), so that the bench shares no code with the attester that it tests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::error::BenchError;

pub(crate) const ST_NO_SESSIONS: u16 = 0x8001;
pub(crate) const ST_SESSIONS: u16 = 0x8002;
pub(crate) const RS_PW: u32 = 0x4000_0009;
const RC_RETRY: u32 = 0x922;
const SU_CLEAR: u16 = 0;
const LONGEST_REPLY: u32 = 4096;

/// `TPM2_PCR_Extend`.
pub const CC_PCR_EXTEND: u32 = 0x182;
/// `TPM2_PCR_Read`.
pub const CC_PCR_READ: u32 = 0x17E;
/// `TPM2_Shutdown`.
pub const CC_SHUTDOWN: u32 = 0x145;
/// `TPM2_ActivateCredential`.
pub const CC_ACTIVATE_CREDENTIAL: u32 = 0x147;
/// `TPM2_Quote`.
pub const CC_QUOTE: u32 = 0x158;

/// A PCR bank of the bench's TPMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// SHA-1, for logs and machines that still have it.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384: the bank that NitroTPM attests.
    Sha384,
}

impl Bank {
    /// The algorithm's identifier (TCG Algorithm Registry, section 6.10).
    pub fn algorithm(self) -> u16 {
        match self {
            Self::Sha1 => 0x0004,
            Self::Sha256 => 0x000B,
            Self::Sha384 => 0x000C,
        }
    }

    /// The length of its digests in bytes.
    pub fn digest_size(self) -> u16 {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The bank's name for `swtpm_setup`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        }
    }
}

/// A connection to a TPM's command port. swtpm serves one client at a time: drop it before the attester connects.
#[derive(Debug)]
pub struct RawTpm {
    stream: TcpStream,
}

impl RawTpm {
    /// Connects to `port` on the loopback address; replies must come within two seconds.
    pub fn connect(port: u16) -> Result<Self, BenchError> {
        let doing = || format!("connect to the TPM at port {port}");
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(BenchError::io(doing()))?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(BenchError::io(doing()))?;
        stream.set_nodelay(true).map_err(BenchError::io(doing()))?;
        Ok(Self { stream })
    }

    /// `TPM2_PCR_Extend` of one PCR, with one digest per bank.
    pub fn pcr_extend(&mut self, pcr: u32, digests: &[(Bank, Vec<u8>)]) -> Result<(), BenchError> {
        let mut body = pcr.to_be_bytes().to_vec();
        body.extend(9u32.to_be_bytes());
        body.extend(RS_PW.to_be_bytes());
        body.extend([0; 5]);
        body.extend((digests.len() as u32).to_be_bytes());
        for (bank, digest) in digests {
            body.extend(bank.algorithm().to_be_bytes());
            body.extend(digest);
        }
        self.command(ST_SESSIONS, CC_PCR_EXTEND, &body).map(drop)
    }

    /// `TPM2_PCR_Read` of one PCR in one bank.
    pub fn pcr_read(&mut self, bank: Bank, pcr: u32) -> Result<Vec<u8>, BenchError> {
        let select = (1u32 << pcr).to_le_bytes();
        let mut body = 1u32.to_be_bytes().to_vec();
        body.extend(bank.algorithm().to_be_bytes());
        body.push(3);
        body.extend(&select[..3]);
        let reply = self.command(ST_NO_SESSIONS, CC_PCR_READ, &body)?;
        // pcrUpdateCounter (4), TPML_PCR_SELECTION of one (4 + 2 + 1 + 3), TPML_DIGEST count (4), TPM2B size (2), digest.
        match reply.get(14..18) {
            Some([0, 0, 0, 1]) => Ok(reply[20..].to_vec()),
            _ => Err(BenchError::answer("PCR_Read", format!("{reply:02x?}"), "one digest: is the bank allocated?")),
        }
    }

    /// `TPM2_Shutdown(CLEAR)`: what an operating system does before the power goes.
    pub fn shutdown(&mut self) -> Result<(), BenchError> {
        self.command(ST_NO_SESSIONS, CC_SHUTDOWN, &SU_CLEAR.to_be_bytes()).map(drop)
    }

    /// A command of this tag, code and body; what follows the header of its reply.
    pub(crate) fn command(&mut self, tag: u16, code: u32, body: &[u8]) -> Result<Vec<u8>, BenchError> {
        let mut request = tag.to_be_bytes().to_vec();
        request.extend((10 + body.len() as u32).to_be_bytes());
        request.extend(code.to_be_bytes());
        request.extend(body);
        loop {
            let (response, reply) = self.exchange(&request).map_err(BenchError::io(format!("TPM command {code:#x}")))?;
            match response {
                0 => return Ok(reply),
                RC_RETRY => continue,
                refused => return Err(BenchError::Tpm { command: code, code: refused }),
            }
        }
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u32, Vec<u8>)> {
        let packet = exchange(&mut self.stream, request)?;
        Ok((header_word(&packet, 6), packet[10..].to_vec()))
    }
}

/// One command and its reply, whole.
pub(crate) fn exchange(tpm: &mut TcpStream, command: &[u8]) -> std::io::Result<Vec<u8>> {
    tpm.write_all(command)?;
    read_packet(tpm)
}

/// Reads one whole TPM command or response: both begin with tag (2), size (4) and code (4), big-endian.
pub(crate) fn read_packet(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 10];
    from.read_exact(&mut packet)?;
    let size = header_word(&packet, 2);
    if !(10..=LONGEST_REPLY).contains(&size) {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, format!("a TPM packet of {size} bytes")));
    }
    packet.resize(size as usize, 0);
    from.read_exact(&mut packet[10..])?;
    Ok(packet)
}

/// The big-endian 32-bit word at `at` of a packet's header.
pub(crate) fn header_word(packet: &[u8], at: usize) -> u32 {
    packet[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}
