//! Every way in which a start ends without the application, and the exit code of each.

use core::fmt;
use std::{io, path::PathBuf, time::Duration};

use podseal_protocol::{cbor::Malformed, delivery::DeliveryError};
use rustix::io::Errno;

use crate::{arguments::UsageError, kernel::LockRefused, placement::PlacementError, program::ProgramError};

/// Why the application was not started. Exit codes are stable; `--help` lists them.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments are not understood.
    Usage(UsageError),
    /// `--help` or `--version` could not be written.
    Output(io::Error),
    /// The kernel refused what no start can do without.
    System { step: &'static str, error: Errno },
    /// The workload key would lie in memory that may be swapped.
    MemoryNotLocked(LockRefused),
    /// The token is there and can't be read.
    Token { path: PathBuf, problem: String },
    /// The socket can't be used, and that will not change by itself.
    Socket { path: PathBuf, error: Errno },
    /// The verifier decided: no.
    Refused { reason: String, audit_id: String, advice: String },
    /// Nobody answered in time.
    Unavailable { wait: Duration, last: String },
    /// The attester's reply is not a reply.
    BadReply(Malformed),
    /// The delivery is not from the pinned verifier, or not for this container.
    NotAcceptable(DeliveryError),
    /// The secrets could not be placed.
    Placement(PlacementError),
    /// There is no program to become.
    Program(ProgramError),
    /// A stop signal came before the application ran.
    Stopped { signal: u8 },
}

impl Failure {
    /// sysexits.h where it has a word for it; 126, 127 and 128 + signal as shells do.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Output(_) | Self::System { .. } | Self::MemoryNotLocked(_) | Self::Token { .. } | Self::Socket { .. } => 71,
            Self::Placement(_) => 73,
            Self::Unavailable { .. } => 75,
            Self::BadReply(_) | Self::NotAcceptable(_) => 76,
            Self::Refused { .. } => 77,
            Self::Program(e) => e.exit_code(),
            Self::Stopped { signal } => 128_u8.saturating_add(*signal),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(e) => write!(f, "{e}; see podseal-launch --help"),
            Self::Output(e) => write!(f, "stdout: {e}"),
            Self::System { step, error } => {
                write!(f, "cannot {step}: {error}; a seccomp profile may forbid it: compare the runtime's default")
            }
            Self::MemoryNotLocked(e) => {
                write!(
                    f,
                    "{e}; raise the container's limit (LimitMEMLOCK of the runtime's service), or accept it with --allow-unlocked-memory"
                )
            }
            Self::Token { path, problem } => write!(f, "token {}: {problem}", path.display()),
            Self::Socket { path, error } => {
                write!(f, "socket {}: {error}; --socket must name the node attester's socket, at most 107 bytes long", path.display())
            }
            Self::Refused { reason, audit_id, advice } if audit_id.is_empty() => write!(f, "refused: {reason}: {advice}"),
            Self::Refused { reason, audit_id, advice } => write!(f, "refused: {reason} (audit id {audit_id}): {advice}"),
            Self::Unavailable { wait, last } => {
                write!(f, "no secrets after {} s: {last}; start again later, or raise --wait", wait.as_secs())
            }
            Self::BadReply(e) => write!(f, "the attester's reply: {e}; launcher and attester must speak the same protocol version"),
            Self::NotAcceptable(e) => write!(f, "the delivery was not taken, and nothing was placed: {e}"),
            Self::Placement(e) => e.fmt(f),
            Self::Program(e) => e.fmt(f),
            Self::Stopped { signal } => write!(f, "stopped by signal {signal} before the application started"),
        }
    }
}

impl From<PlacementError> for Failure {
    fn from(e: PlacementError) -> Self {
        Self::Placement(e)
    }
}

impl From<ProgramError> for Failure {
    fn from(e: ProgramError) -> Self {
        Self::Program(e)
    }
}
