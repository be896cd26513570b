//! Waiting: for a descriptor or for time to pass, and never longer than until somebody asks the container to stop.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    failure::Failure,
    kernel::{InheritedMask, hold_stop_signals, release_signals},
};

/// Size of `struct signalfd_siginfo`; it begins with the signal's number, 32 bits in the machine's order (signalfd(2)).
const SIGINFO_LENGTH: usize = 128;

/// SIGTERM and SIGINT, held back and readable.
pub(crate) struct StopSignals {
    descriptor: OwnedFd,
    inherited: InheritedMask,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The descriptor has something.
    Ready,
    /// The time came.
    TimedOut,
}

impl StopSignals {
    /// From here on a stop signal ends a wait, not the process.
    pub(crate) fn hold() -> Result<Self, Failure> {
        let (inherited, descriptor) = hold_stop_signals()
            .map_err(|e| Failure::System { step: "hold signals back", error: Errno::from_io_error(&e).unwrap_or(Errno::IO) })?;
        Ok(Self { descriptor, inherited })
    }

    /// Waits until `descriptor` is ready for `events`, or until `until`.
    pub(crate) fn wait(&self, descriptor: BorrowedFd<'_>, events: PollFlags, until: Instant) -> Result<Waited, Failure> {
        self.poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN), PollFd::from_borrowed_fd(descriptor, events)], until)
    }

    /// Waits until `until`.
    pub(crate) fn pause(&self, until: Instant) -> Result<(), Failure> {
        self.poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], until).map(|_| ())
    }

    /// Looks a last time, and gives the signals back to whoever comes next.
    pub(crate) fn release(self) -> Result<(), Failure> {
        self.check()?;
        release_signals(&self.inherited)
            .map_err(|e| Failure::System { step: "give signals back", error: Errno::from_io_error(&e).unwrap_or(Errno::IO) })
    }

    fn poll(&self, descriptors: &mut [PollFd<'_>], until: Instant) -> Result<Waited, Failure> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match poll(descriptors, Some(&timespec(left))) {
                Ok(0) => return Ok(Waited::TimedOut),
                Ok(_) => {
                    self.check()?;
                    return Ok(Waited::Ready);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::System { step: "wait", error }),
            }
        }
    }

    fn check(&self) -> Result<(), Failure> {
        let mut siginfo = [0_u8; SIGINFO_LENGTH];
        match rustix::io::read(&self.descriptor, &mut siginfo) {
            Ok(_) => {
                match siginfo.first_chunk::<4>().map(|number| u32::from_ne_bytes(*number)).and_then(|number| u8::try_from(number).ok()) {
                    Some(signal) => Err(Failure::Stopped { signal }),
                    None => Err(Failure::System { step: "read a signal", error: Errno::IO }),
                }
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(Failure::System { step: "read a signal", error }),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // A day at most (--wait), so both parts fit.
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(duration.subsec_nanos()) }
}
