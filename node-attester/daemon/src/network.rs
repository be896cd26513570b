//! The network, in a process of its own: TLS, HTTP and what others sent are parsed where there is no privilege to gain.
//!
//! ```text
//! podseal-node-attester run         root, few capabilities, no network: pods, runtime, TPM
//!   podseal-node-attester keeper    another user, no capabilities: starts the next one, again when it ends
//!     podseal-node-attester network   the same user, sandboxed: the verifier's channel, and nothing else
//! ```
//!
//! The privileged process cannot start programs once it has given up what it does not need, and filters are inherited: so it starts the
//! keeper before, and the keeper hands it a fresh socket for every network process that it starts. Over that socket go [`message`]s. The
//! network process is trusted as much as the network is: what it brings is checked by [`crate::client`] as if it had come from there.

pub mod keeper;
mod link;
pub mod message;
pub mod process;
mod stream;
mod verifier;

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::CommandExt as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use podseal_protocol::Limits;

use crate::config::Config;

pub use link::{Link, Way};
pub use process::serve;
pub use verifier::VerifierCalls;

/// This very program, whatever its file is called by now.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The exit code of a child that must not run here: starting it again would not help.
pub const REFUSED: u8 = 78;
/// How long the children may take to end.
const LONGEST_END: Duration = Duration::from_secs(2);

/// Why there is no network process.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It cannot be started.
    #[error("network process: {step}: {problem}")]
    Start {
        /// Which step.
        step: &'static str,
        /// What the operating system said.
        problem: io::Error,
    },
    /// It, or the process that keeps it, has ended for good.
    #[error("network process: it has ended, and so has its keeper: what they said stands above")]
    Ended,
}

pub(crate) fn at(step: &'static str) -> impl Fn(io::Error) -> NetworkError {
    move |problem| NetworkError::Start { step, problem }
}

/// What a frame between the processes may have beside a message of the protocol.
pub(crate) fn frame_limits(limits: &Limits) -> Limits {
    Limits { message: limits.message + 4096, ..*limits }
}

/// The keeper, started; the way to it is not open yet.
pub struct Keeper {
    child: Child,
    control: UnixStream,
}

impl Keeper {
    /// Starts the keeper, which starts the network process. Call it before [`crate::hardening::privileged`], and before anything is opened
    /// that they must not have.
    ///
    /// # Errors
    /// [`NetworkError::Start`].
    pub fn start(config: &Config) -> Result<Self, NetworkError> {
        let (ours, theirs) = UnixStream::pair().map_err(at("socket pair"))?;
        let child = spawn("keeper", theirs.into()).map_err(at("start"))?;
        let settings = message::Settings::of(config).encode();
        stream::write_frame(&mut &ours, &settings).map_err(at("settings"))?;
        Ok(Self { child, control: ours })
    }

    /// The end of the control socket on which network processes arrive, for [`Link::open`].
    ///
    /// # Errors
    /// What the operating system says.
    pub fn control(&self) -> io::Result<UnixStream> {
        self.control.try_clone()
    }

    /// Waits for the children's end, a moment; they end when the sockets to them are closed.
    pub fn end(self) {
        let Self { mut child, control } = self;
        drop(control);
        let started = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && started.elapsed() < LONGEST_END {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Starts this program again: standard input is `socket`, standard error is shared, and there is nothing else. A group of its own, so that an
/// interrupt at a terminal ends the privileged process alone, in order.
fn spawn(verb: &str, socket: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg0("podseal-node-attester").arg(verb).env_clear().current_dir("/").process_group(0);
    command.stdin(Stdio::from(socket)).stdout(Stdio::null()).spawn()
}
