//! A connection to a TPM for commands as bytes: a device file, or a software TPM's command port.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
};

use podseal_protocol::require;

use super::wire::{Command, HEADER, Response};
use crate::{collect::CollectError, config::Tcti};

/// Most that a TPM answers (TPM 2.0 Part 2, section 5.3, as the reference implementation has it: MAX_RESPONSE_SIZE).
const MOST: usize = 4096;
const NO_TPM: &str =
    "start it, or correct tpm.tcti; the device has to be readable and writable, and /dev/tpm0 belongs to one program at a time";

enum Way {
    Device(File),
    Tcp(TcpStream),
}

/// An open connection.
pub(super) struct Transport {
    way: Way,
    tcti: Tcti,
}

impl Transport {
    pub(super) fn connect(tcti: &Tcti) -> Result<Self, CollectError> {
        let way = match tcti {
            Tcti::Device(path) => OpenOptions::new().read(true).write(true).open(path).map(Way::Device),
            Tcti::Swtpm { host, port } => TcpStream::connect((host.as_str(), *port)).map(Way::Tcp),
        };
        let failed = |problem| CollectError::File { path: PathBuf::from(tcti.to_string()), step: "connect", problem, remedy: NO_TPM };
        Ok(Self { way: way.map_err(failed)?, tcti: tcti.clone() })
    }

    /// How errors name the TPM.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(self.tcti.to_string())
    }

    /// Sends a command. Its response has to say success; `remedy` is for where it does not.
    pub(super) fn send(&mut self, step: &'static str, command: Command, remedy: &'static str) -> Result<Response, CollectError> {
        let exchanged = match &mut self.way {
            Way::Device(device) => exchange_with_device(device, &command.finish()),
            Way::Tcp(stream) => exchange_by_stream(stream, &command.finish()),
        };
        let failed = |problem| CollectError::File { path: self.path(), step, problem, remedy: NO_TPM };
        let mut response = Response(exchanged.map_err(failed)?, 0);
        let (_, size, code) = (response.u16(), response.u32(), response.u32().ok_or_else(|| self.malformed(step))?);
        let size = size.and_then(|size| usize::try_from(size).ok());
        require(size == Some(response.0.len()), self.malformed(step))?;
        require(code == 0, CollectError::Tpm { tpm: self.tcti.to_string(), step, code, remedy })?;
        Ok(response)
    }

    pub(super) fn malformed(&self, step: &'static str) -> CollectError {
        CollectError::Answer {
            path: self.path(),
            what: step,
            found: "a response of another form".into(),
            wanted: "the form of TPM 2.0 Part 3".into(),
            remedy: "correct tpm.tcti: this is no TPM 2.0",
        }
    }
}

/// The driver takes a whole command by one write, and gives the whole response by one read (Linux, drivers/char/tpm/tpm-dev-common.c).
fn exchange_with_device(device: &mut File, command: &[u8]) -> io::Result<Vec<u8>> {
    if device.write(command)? != command.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut response = vec![0; MOST];
    let length = device.read(&mut response)?;
    response.truncate(length);
    Ok(response)
}

fn exchange_by_stream(stream: &mut TcpStream, command: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(command)?;
    let mut response = vec![0; HEADER];
    stream.read_exact(&mut response)?;
    let size = response.get(2..).and_then(<[u8]>::first_chunk).map_or(0, |size| u32::from_be_bytes(*size));
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let form = || io::Error::new(io::ErrorKind::InvalidData, format!("a response of {size} bytes"));
    require((HEADER..=MOST).contains(&size), form())?;
    response.resize(size, 0);
    if let Some(rest) = response.get_mut(HEADER..) {
        stream.read_exact(rest)?;
    }
    Ok(response)
}
