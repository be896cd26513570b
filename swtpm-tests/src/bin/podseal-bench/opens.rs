//! When a file is opened, whoever does it and through whatever mount: inotify(7) watches the inode.
//!
//! `execve` opens the program that it runs, so the first opening of the launcher after a container was told to start is the launcher's own start. (The
//! attester opens it later, to learn its digest.)

use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use podseal_swtpm_tests::error::BenchError;
use rustix::fs::inotify;

use crate::clock;

/// Moments at which the file was opened, by the wall clock. The watching thread ends with the process.
pub(crate) struct Opens {
    seen: Receiver<u64>,
}

impl Opens {
    pub(crate) fn watch(file: &Path) -> Result<Self, BenchError> {
        let failed = |error: rustix::io::Errno| BenchError::io(format!("watch {}", file.display()))(error.into());
        let events = inotify::init(inotify::CreateFlags::CLOEXEC).map_err(failed)?;
        inotify::add_watch(&events, file, inotify::WatchFlags::OPEN).map_err(failed)?;
        let (send, seen) = channel();
        thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(events, &mut buffer);
            while events.next().is_ok() && send.send(clock::now()).is_ok() {}
        });
        Ok(Self { seen })
    }

    /// Forgets what was seen so far.
    pub(crate) fn forget(&self) {
        self.seen.try_iter().for_each(drop);
    }

    /// The first opening since the last [`Opens::forget`].
    pub(crate) fn first(&self) -> Result<u64, BenchError> {
        self.seen.try_recv().map_err(|_| BenchError::answer("inotify", "no opening of the launcher", "the one by execve"))
    }
}
