//! The network process: restricts itself, then carries calls to the verifier until its socket is closed.

use std::{
    fs, io,
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::Arc,
};

use podseal_protocol::{Limits, cbor::Malformed};
use podseal_wire::pinned::ConnectError;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::sync::{Semaphore, mpsc};

use super::{
    VerifierCalls, frame_limits,
    message::{self, Call, Reply, Settings},
    stream,
};
use crate::hardening::{self, HardeningError};

/// Calls at a time. The privileged process has one exchange and one challenge under way.
const CALLS: usize = 8;

/// Why the network process, or its keeper, does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not restricted as it has to be.
    #[error(transparent)]
    Hardening(#[from] HardeningError),
    /// The other end's bytes are none of ours.
    #[error("network process: {0}: it is started by podseal-node-attester alone")]
    Malformed(#[from] Malformed),
    /// The channel to the verifier cannot be set up.
    #[error(transparent)]
    Channel(#[from] ConnectError),
    /// The operating system refuses something.
    #[error("network process: {0}: it is started by podseal-node-attester alone")]
    System(#[from] io::Error),
}

/// The socket that is this process's standard input. Whatever else was inherited is closed: what started the privileged process may have left it
/// open.
pub(super) fn socket() -> io::Result<UnixStream> {
    let open: Vec<_> = fs::read_dir("/proc/self/fd")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The one that listed them is closed already.
        let _ = nix::unistd::close(fd);
    }
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Reads its settings, restricts itself, and only then makes an event loop and a channel.
///
/// # Errors
/// Why it must not run.
pub fn run(log: impl FnOnce(bool)) -> Result<(), ProcessError> {
    let (socket, limits) = (socket()?, Limits::DEFAULT);
    let settings = Settings::decode(&stream::read_frame(&mut &socket, &limits)?, &limits)?;
    let port = settings.verifier.address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    // Should the keeper be killed, nobody would notice when this one ends.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    hardening::network(settings.user, &settings.exceptions, port)?;
    log(settings.log_json);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let calls = VerifierCalls::new(&settings.verifier, &settings.node, &limits)?;
        socket.set_nonblocking(true)?;
        Ok(serve(tokio::net::UnixStream::from_std(socket)?, calls, limits).await?)
    })
}

/// Says that it is ready, and carries calls until the other end closes the socket.
///
/// # Errors
/// What came was no call, or the socket failed.
pub async fn serve(socket: tokio::net::UnixStream, calls: VerifierCalls, limits: Limits) -> io::Result<()> {
    let (mut read, mut write) = socket.into_split();
    let (replies, mut queue) = mpsc::channel::<Vec<u8>>(CALLS);
    let slots = Arc::new(Semaphore::new(CALLS));
    let writer = async {
        while let Some(reply) = queue.recv().await {
            stream::send(&mut write, &reply).await?;
        }
        Ok(())
    };
    let reader = async {
        // The receiver lives as long as this future.
        let _ = replies.send(message::ready()).await;
        loop {
            let frame = match stream::receive(&mut read, &limits).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                frame => frame?,
            };
            let Call { number, method, body } =
                Call::decode(&frame, &frame_limits(&limits)).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
            let (calls, replies) = (calls.clone(), replies.clone());
            tokio::spawn(async move {
                let answer = calls.call(method, body).await;
                let _gone = replies.send(Reply { number, answer }.encode()).await;
                drop(slot);
            });
        }
    };
    tokio::select! {
        ended = reader => ended,
        failed = writer => failed,
    }
}
