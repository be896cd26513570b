//! Who may read and write the verifier's files. It starts with nothing that others could have read or changed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use podseal_protocol::require;
use thiserror::Error;

/// What a file holds, which decides who may touch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file with secrets in it: 0600 or narrower, the verifier's own.
    SecretFile,
    /// A directory with such files: 0700 or narrower, the verifier's own.
    SecretDirectory,
    /// What decisions rest on (configuration, roots): nobody but its owner and root may write it.
    TrustedFile,
    /// A directory of such files, all of which count.
    TrustedDirectory,
}

/// Why a file is not used.
#[derive(Debug, Error)]
pub enum PermissionError {
    /// It cannot be looked at.
    #[error("{setting} {path}: {error}: correct the path, or run `podseal-verifier init`")]
    Missing {
        /// Which configuration key names it.
        setting: &'static str,
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// It is another kind of file.
    #[error("{setting} {path}: found something else, wanted a {wanted} (no symbolic link): correct the path")]
    Type {
        /// Which configuration key names it.
        setting: &'static str,
        /// The path.
        path: PathBuf,
        /// `file` or `directory`.
        wanted: &'static str,
    },
    /// It belongs to somebody else.
    #[error("{setting} {path}: found owner {found}, wanted {wanted}: run chown {wanted} {path}")]
    Owner {
        /// Which configuration key names it.
        setting: &'static str,
        /// The path.
        path: PathBuf,
        /// User id found.
        found: u32,
        /// User id of this process.
        wanted: u32,
    },
    /// Others may read or write it.
    #[error("{setting} {path}: found mode {found:04o}, wanted {wanted:04o} or narrower: run chmod {wanted:04o} {path}{remark}")]
    Mode {
        /// Which configuration key names it.
        setting: &'static str,
        /// The path.
        path: PathBuf,
        /// Mode found.
        found: u32,
        /// The widest mode that is accepted.
        wanted: u32,
        /// What else to do.
        remark: &'static str,
    },
}

/// Holds a path to its kind's rule.
///
/// # Errors
/// [`PermissionError`], naming the configuration key `setting`.
pub fn check(setting: &'static str, path: &Path, kind: Kind) -> Result<(), PermissionError> {
    let own = rustix::process::geteuid().as_raw();
    // A trusted file may be reached by a link (a mounted ConfigMap); a secret one may not.
    let trusted = matches!(kind, Kind::TrustedFile | Kind::TrustedDirectory);
    let metadata = if trusted { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let metadata = metadata.map_err(|error| PermissionError::Missing { setting, path: path.to_owned(), error })?;
    let (is_kind, wanted, most, remark) = match kind {
        Kind::SecretFile => (metadata.is_file(), "file", 0o600, ", and replace what others could read"),
        Kind::SecretDirectory => (metadata.is_dir(), "directory", 0o700, ""),
        Kind::TrustedFile => (metadata.is_file(), "file", 0o755, ""),
        Kind::TrustedDirectory => (metadata.is_dir(), "directory", 0o755, ""),
    };
    require(is_kind, PermissionError::Type { setting, path: path.to_owned(), wanted })?;
    let owner = metadata.uid();
    let ours = owner == own || (trusted && owner == 0);
    require(ours, PermissionError::Owner { setting, path: path.to_owned(), found: owner, wanted: own })?;
    let found = metadata.mode() & 0o7777;
    require(found & !most == 0, PermissionError::Mode { setting, path: path.to_owned(), found, wanted: most, remark })
}
