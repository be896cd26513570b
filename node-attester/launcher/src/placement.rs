//! Places the secrets as files in the tmpfs that the attester mounted in this container: all of them, or none.

use core::fmt;
use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use podseal_protocol::{require, seal::SecretFile};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags, fchmod, fstatfs, open, openat, renameat_with, statx, unlinkat},
    io::{Errno, write},
};

/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Why the secrets were not placed. Nothing of them is left.
#[derive(Debug)]
pub(crate) enum PlacementError {
    /// The directory can't be opened or examined.
    Directory { path: PathBuf, error: Errno },
    /// Not in memory: a secret would reach a disk.
    NotTmpfs { path: PathBuf, found: i64 },
    /// In memory, but no mount of its own: other containers may see it.
    NotAMount { path: PathBuf },
    /// Others than the owner may write there.
    WritableByOthers { path: PathBuf, mode: u32 },
    /// A file could not be made.
    File { name: String, error: Errno },
}

impl fmt::Display for PlacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, error } => {
                write!(f, "{}: {error}; the pod needs an empty directory there, over which the attester mounts", path.display())
            }
            Self::NotTmpfs { path, found } => {
                write!(
                    f,
                    "{}: found a file system of type {found:#x}, wanted the attester's tmpfs; is --secrets what the attester is configured for?",
                    path.display()
                )
            }
            Self::NotAMount { path } => {
                write!(f, "{}: found a folder in some tmpfs, wanted a mount of its own that the attester made", path.display())
            }
            Self::WritableByOthers { path, mode } => {
                write!(f, "{}: found mode {mode:04o}, wanted 0700: mounted by somebody else than the attester", path.display())
            }
            Self::File { name, error } => {
                write!(f, "secret file {name}: {error}")?;
                f.write_str(match *error {
                    Errno::NOSPC => "; the attester's size limit for this container's secrets is too small",
                    Errno::EXIST => "; the tmpfs is not fresh: something placed a file of that name before",
                    Errno::ACCESS | Errno::PERM | Errno::ROFS => "; the tmpfs must be writable for this container's user",
                    _ => "; nothing was placed",
                })
            }
        }
    }
}

/// Files that are in place. Dropped, it removes them: only `execve` leaves them where they are.
pub(crate) struct Placed {
    directory: OwnedFd,
    present: Vec<String>,
}

impl Placed {
    /// Places all `files` below `path`, mode 0400: each complete under a temporary name first, then all renamed.
    pub(crate) fn place(path: &Path, files: &[SecretFile]) -> Result<Self, PlacementError> {
        let mut placed = Self { directory: open_tmpfs(path)?, present: Vec::new() };
        // A secret's own file name never begins with a dot (docs/PROTOCOL.md).
        let temporary = |index: usize| format!(".podseal-{index}");
        for (index, file) in files.iter().enumerate() {
            placed.create(&temporary(index), &file.value).map_err(|error| PlacementError::File { name: file.file.clone(), error })?;
        }
        for (index, file) in files.iter().enumerate() {
            placed.rename(temporary(index), &file.file).map_err(|error| PlacementError::File { name: file.file.clone(), error })?;
        }
        Ok(placed)
    }

    fn create(&mut self, name: &str, mut value: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, name, flags, Mode::RUSR)?;
        self.present.push(name.to_owned());
        // Whatever the umask was.
        fchmod(&file, Mode::RUSR)?;
        while !value.is_empty() {
            match write(&file, value) {
                Ok(0) => return Err(Errno::NOSPC),
                Ok(written) => value = value.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: String, to: &str) -> Result<(), Errno> {
        renameat_with(&self.directory, &from, &self.directory, to, RenameFlags::NOREPLACE)?;
        self.present.retain(|name| *name != from);
        self.present.push(to.to_owned());
        Ok(())
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        for name in &self.present {
            // The failure that led here is reported; if a file can't be removed, the mount goes with the container.
            let _ = unlinkat(&self.directory, name.as_str(), AtFlags::empty());
        }
    }
}

/// Opens the directory and examines what was opened, not what the path says later.
fn open_tmpfs(path: &Path) -> Result<OwnedFd, PlacementError> {
    let failed = |error| PlacementError::Directory { path: path.to_owned(), error };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(path, flags, Mode::empty()).map_err(failed)?;
    let found = fstatfs(&directory).map_err(failed)?.f_type;
    require(found == TMPFS_MAGIC, PlacementError::NotTmpfs { path: path.to_owned(), found })?;
    let status = statx(directory.as_fd(), "", AtFlags::EMPTY_PATH, StatxFlags::MODE).map_err(failed)?;
    let says = [status.stx_attributes_mask, status.stx_attributes];
    let is_mount = says.iter().all(|attributes| attributes.contains(StatxAttributes::MOUNT_ROOT));
    require(is_mount, PlacementError::NotAMount { path: path.to_owned() })?;
    let mode = u32::from(status.stx_mode) & 0o7777;
    require(mode & 0o022 == 0, PlacementError::WritableByOthers { path: path.to_owned(), mode })?;
    Ok(directory)
}
