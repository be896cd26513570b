//! The launcher: one file on the attester's own mount, which containers see through a bind mount.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use podseal_protocol::{Digest, require};

use super::Refusal;

/// Longest launcher that is taken, in bytes.
const MOST: u64 = 64 << 20;

/// Device, inode, size, and times of the last change of content and of metadata: what cannot all stay when the file changes.
type Stamp = [i128; 7];

/// The launcher's file. Its digest is kept until the file changes.
pub struct Launcher {
    path: PathBuf,
    known: Mutex<Option<(Stamp, Digest)>>,
}

/// The launcher as it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    device: u64,
    inode: u64,
    /// `h` of its content.
    pub(super) digest: Digest,
}

impl Launcher {
    /// The launcher at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, known: Mutex::new(None) }
    }

    /// Device, inode and digest of the file.
    pub(super) fn digest(&self) -> Result<Known, Refusal> {
        let unreadable = |e: io::Error| Refusal::LauncherUnreadable { path: self.path.display().to_string(), problem: e.to_string() };
        let file = File::open(&self.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let stamp = stamp(&metadata);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = match *known {
            Some((then, digest)) if then == stamp => digest,
            _ => {
                let mut content = Vec::new();
                file.take(MOST + 1).read_to_end(&mut content).map_err(unreadable)?;
                require(content.len() as u64 <= MOST, unreadable(io::Error::other("longer than 64 MiB")))?;
                Digest::of(&content)
            }
        };
        *known = Some((stamp, digest));
        Ok(Known { device: metadata.dev(), inode: metadata.ino(), digest })
    }
}

impl Known {
    /// Whether `/proc/PID/exe` is this very file; true through a bind mount, false for a copy.
    pub(super) fn is_run_by(&self, pid: i32) -> Result<bool, Refusal> {
        let path = format!("/proc/{pid}/exe");
        match fs::metadata(&path) {
            Ok(exe) => Ok((exe.dev(), exe.ino()) == (self.device, self.inode)),
            Err(e) => Err(Refusal::Proc { path, problem: e.to_string() }),
        }
    }
}

fn stamp(m: &Metadata) -> Stamp {
    let (device, inode, size) = (m.dev().into(), m.ino().into(), m.size().into());
    [device, inode, size, m.mtime().into(), m.mtime_nsec().into(), m.ctime().into(), m.ctime_nsec().into()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{File, Launcher, MOST};

    /// Two that differ behind the limit would have one digest.
    #[test]
    fn a_launcher_that_is_too_long_has_no_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("launch");
        let file = File::create(&path).unwrap();
        file.set_len(1).unwrap();
        let launcher = Launcher::new(path);
        assert!(launcher.digest().is_ok());
        file.set_len(MOST + 1).unwrap();
        let refusal = launcher.digest().unwrap_err();
        assert_eq!(refusal.code(), "node.launcher_unreadable");
    }
}
