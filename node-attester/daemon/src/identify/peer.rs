//! The process at the other end of a Unix socket.

use std::os::fd::{AsFd, OwnedFd};

use nix::{
    errno::Errno,
    sys::socket::{getsockopt, sockopt},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::Refusal;

/// A process, held by a pidfd: as long as it lives, its pid means no other.
#[derive(Debug)]
pub struct Peer {
    pid: i32,
    uid: u32,
    gid: u32,
    pidfd: OwnedFd,
}

impl Peer {
    /// Whoever called connect(2) on the other end (unix(7): `SO_PEERCRED`; `SO_PEERPIDFD` since Linux 6.5).
    ///
    /// On an older kernel the pidfd is opened by number: then a caller that ended between its connect and this call, and whose pid was
    /// given to another container's init at once, is not told apart.
    ///
    /// # Errors
    /// [`Refusal::PeerUnknown`], and [`Refusal::PeerGone`] when it has ended.
    pub fn of(socket: &impl AsFd) -> Result<Self, Refusal> {
        let unknown = |problem: &dyn core::fmt::Display| Refusal::PeerUnknown { problem: problem.to_string() };
        let credentials = getsockopt(socket, sockopt::PeerCredentials).map_err(|e| unknown(&e))?;
        let pid = Pid::from_raw(credentials.pid()).ok_or_else(|| unknown(&"it is in no PID namespace that this node sees"))?;
        let pidfd = match getsockopt(socket, sockopt::PeerPidfd) {
            Ok(pidfd) => pidfd,
            Err(Errno::ENOPROTOOPT) => pidfd_open(pid, PidfdFlags::empty()).map_err(|_| Refusal::PeerGone)?,
            Err(_) => return Err(Refusal::PeerGone),
        };
        Ok(Self { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid(), pidfd })
    }

    /// Its pid, in this process's PID namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its effective user and group at connect(2), in this process's user namespace.
    #[must_use]
    pub fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Holds the process.
    #[must_use]
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Whether it still runs; a pidfd becomes readable when its process ends (pidfd_open(2)).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }
}
