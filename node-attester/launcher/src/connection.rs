//! One connection to the attester: one frame out, one frame back.

use core::fmt;
use std::{
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::Instant,
};

use podseal_protocol::{
    Limits,
    cbor::Malformed,
    delivery::Session,
    frame::{self, HEAD_LENGTH, TOKEN_LENGTH, WorkloadReply, WorkloadRequest},
};
use rustix::{
    event::PollFlags,
    fs::{Mode, OFlags, open},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with},
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    failure::Failure,
    signals::{StopSignals, Waited},
};

/// What one attempt came to.
pub(crate) enum Attempt {
    /// The attester answered.
    Answered(WorkloadReply),
    /// It did not, and may later.
    Away(Away),
}

/// Why there is no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Away {
    /// Nobody listens on the socket.
    NotListening,
    /// The attester closed the connection without an answer.
    HungUp,
    /// The time was over before the answer came.
    TimedOut,
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotListening => "the node attester does not listen on its socket",
            Self::HungUp => "the node attester closed the connection without an answer",
            Self::TimedOut => "the node attester did not answer in time",
        })
    }
}

/// Connects, sends key, salt and token, and reads the reply. All of it ends by `deadline`.
pub(crate) fn attempt(
    socket: &Path,
    token: &Path,
    session: &Session,
    signals: &StopSignals,
    deadline: Instant,
    limits: &Limits,
) -> Result<Attempt, Failure> {
    let request = request(token, session, limits)?;
    let exchange = || -> Result<WorkloadReply, Ended> {
        let connection = Connection { socket: connected(socket)?, signals, deadline };
        connection.send(&request)?;
        connection.receive(limits)
    };
    match exchange() {
        Ok(reply) => Ok(Attempt::Answered(reply)),
        Err(Ended::Away(away)) => Ok(Attempt::Away(away)),
        Err(Ended::Malformed(e)) => Err(Failure::BadReply(e)),
        Err(Ended::Socket(error)) => Err(Failure::Socket { path: socket.to_owned(), error }),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

/// Why an exchange ended early.
enum Ended {
    Away(Away),
    Malformed(Malformed),
    Socket(Errno),
    Failed(Failure),
}

impl From<Malformed> for Ended {
    fn from(e: Malformed) -> Self {
        Self::Malformed(e)
    }
}

impl From<Errno> for Ended {
    fn from(error: Errno) -> Self {
        match error {
            // EAGAIN from connect: the queue of the socket is full (connect(2)).
            Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN => Self::Away(Away::NotListening),
            Errno::CONNRESET | Errno::PIPE => Self::Away(Away::HungUp),
            other => Self::Socket(other),
        }
    }
}

/// The frame to be sent. The token is a bearer credential: no copy of it is left behind.
fn request(token: &Path, session: &Session, limits: &Limits) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let workload_key = session.public_key().ok_or(Failure::System { step: "derive the workload key", error: Errno::IO })?;
    let mut request = WorkloadRequest { salt: *session.salt(), workload_key, token: std::mem::take(&mut *read_token(token)?) };
    let message = Zeroizing::new(request.encode());
    request.token.zeroize();
    frame::frame(&message, limits).map(Zeroizing::new).map_err(Failure::BadReply)
}

/// The token, read anew for each attempt: the kubelet replaces it. No file, no token.
fn read_token(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |problem: String| Failure::Token { path: path.to_owned(), problem };
    let file = match open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(Zeroizing::default()),
        Err(e) => return Err(failed(format!("{e}; it must be readable by this container's user"))),
    };
    // Room for all of it, so that no half-filled buffer is given back unwiped.
    let mut token = Zeroizing::new(Vec::with_capacity(TOKEN_LENGTH + 64));
    file.take(TOKEN_LENGTH as u64 + 1).read_to_end(&mut token).map_err(|e| failed(e.to_string()))?;
    if token.len() > TOKEN_LENGTH {
        return Err(failed(format!("longer than {TOKEN_LENGTH} bytes; --token must name a service-account token")));
    }
    Ok(token)
}

/// Connected, non-blocking, and closed by `execve`.
fn connected(path: &Path) -> Result<OwnedFd, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    connect(&socket, &address)?;
    Ok(socket)
}

struct Connection<'a> {
    socket: OwnedFd,
    signals: &'a StopSignals,
    deadline: Instant,
}

impl Connection<'_> {
    fn send(&self, mut bytes: &[u8]) -> Result<(), Ended> {
        while !bytes.is_empty() {
            self.wait(PollFlags::OUT)?;
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn receive(&self, limits: &Limits) -> Result<WorkloadReply, Ended> {
        let mut head = [0; HEAD_LENGTH];
        head.copy_from_slice(&self.exactly(HEAD_LENGTH)?);
        let message = self.exactly(frame::length(head, limits)?)?;
        Ok(WorkloadReply::decode(&message, limits)?)
    }

    /// Reads `length` bytes. Memory grows with what arrives, not with what was announced.
    fn exactly(&self, length: usize) -> Result<Vec<u8>, Ended> {
        let mut received = Vec::new();
        let mut chunk = [0; 16 << 10];
        while received.len() < length {
            self.wait(PollFlags::IN)?;
            let room = chunk.len().min(length - received.len());
            match recv(&self.socket, chunk.get_mut(..room).unwrap_or_default(), RecvFlags::empty()) {
                Ok((0, _)) => return Err(Ended::Away(Away::HungUp)),
                Ok((count, _)) => received.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(received)
    }

    fn wait(&self, events: PollFlags) -> Result<(), Ended> {
        match self.signals.wait(self.socket.as_fd(), events, self.deadline) {
            Ok(Waited::Ready) => Ok(()),
            Ok(Waited::TimedOut) => Err(Ended::Away(Away::TimedOut)),
            Err(failure) => Err(Ended::Failed(failure)),
        }
    }
}
