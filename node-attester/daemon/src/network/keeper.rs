//! The keeper: starts the network process, and again when it ends. It knows nothing but the settings, and reads nothing that came from the
//! network.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{fd::AsFd as _, unix::net::UnixStream},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use podseal_protocol::Limits;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    REFUSED,
    message::Settings,
    process::{ProcessError, socket},
    spawn, stream,
};
use crate::hardening;

/// Before a network process that ended is started again, the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// One that ran for so long had a good start.
const GOOD_START: Duration = Duration::from_secs(30);

/// Keeps a network process running until the privileged process is gone. Returns false when the network process must not run here.
///
/// # Errors
/// Why no network process can be started at all.
pub fn run(log: impl FnOnce(bool)) -> Result<bool, ProcessError> {
    let control = socket()?;
    let frame = stream::read_frame(&mut &control, &Limits::DEFAULT)?;
    let settings = Settings::decode(&frame, &Limits::DEFAULT)?;
    hardening::keeper(settings.user)?;
    log(settings.log_json);
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let mut child = start(&control, &frame)?;
        let Some(status) = ended(&control, &mut child)? else { return Ok(true) };
        if status.code() == Some(REFUSED.into()) {
            return Ok(false);
        }
        if started.elapsed() > GOOD_START {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(%status, again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "the network process ended");
        if is_closed(&control, pause)? {
            return Ok(true);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Starts a network process, tells it its settings, and hands the socket to it over to the privileged process.
fn start(control: &UnixStream, settings: &[u8]) -> io::Result<Child> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = spawn("network", theirs.into())?;
    stream::write_frame(&mut &ours, settings)?;
    let fds = [ours.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(control, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(child)
}

/// Waits for the child's end; `None` when the privileged process is gone before.
fn ended(control: &UnixStream, child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return child.wait().map(Some) };
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(control, PollFlags::IN)];
    poll(&mut fds, None)?;
    // The network process ends in order when the privileged one closes its socket: then that one is ending too.
    match child.try_wait()? {
        Some(status) if status.success() => Ok(None),
        status => Ok(status),
    }
}

/// Waits, and says whether the privileged process went meanwhile: it never writes to this socket again.
fn is_closed(control: &UnixStream, pause: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(control, PollFlags::IN)];
    let pause = Timespec { tv_sec: i64::try_from(pause.as_secs()).unwrap_or(1), tv_nsec: pause.subsec_nanos().into() };
    Ok(poll(&mut fds, Some(&pause))? > 0)
}
