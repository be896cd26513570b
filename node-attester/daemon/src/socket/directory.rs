//! The host directory that containers see read-only at `/podseal`: socket, launcher, and the empty folder for secrets.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use podseal_protocol::require;
use tokio::net::UnixListener;

use crate::config::Workload;

/// Why there is no workload socket.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Something cannot be read or made.
    #[error("{path}: {problem}: correct workload.directory, workload.launcher or their permissions")]
    Unusable {
        /// What.
        path: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
    /// Others could replace what containers run.
    #[error("{path}: owner {owner}, mode {mode:04o}: wanted the attester's own user, and nobody else may write: correct owner and mode")]
    WritableByOthers {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// The folder for secrets has something in it.
    #[error("{path}: not empty: secrets are never kept on the node; find out what is in it and remove it")]
    NotEmpty {
        /// Which folder.
        path: PathBuf,
    },
    /// Another attester listens.
    #[error("{path}: another attester answers on it: stop that one, or name another workload.directory")]
    InUse {
        /// Which socket.
        path: PathBuf,
    },
}

/// The socket's file; removed with this value.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the socket was not removed");
        }
    }
}

/// Checks the directory, makes the folder for secrets, and listens.
///
/// # Errors
/// What stands against it.
pub fn listen(workload: &Workload) -> Result<(UnixListener, SocketFile), DirectoryError> {
    let Workload { directory, launcher } = workload;
    only_ours_to_write(directory)?;
    only_ours_to_write(launcher)?;
    let secrets = directory.join("secrets");
    match DirBuilder::new().mode(0o555).create(&secrets) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(&secrets)(e)),
        _ => only_ours_to_write(&secrets)?,
    }
    let is_empty = fs::read_dir(&secrets).map_err(unusable(&secrets))?.next().is_none();
    require(is_empty, DirectoryError::NotEmpty { path: secrets })?;

    let socket = workload.socket();
    if UnixStream::connect(&socket).is_ok() {
        return Err(DirectoryError::InUse { path: socket });
    }
    match fs::remove_file(&socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unusable(&socket)(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&socket).map_err(unusable(&socket))?;
    let file = SocketFile(socket.clone());
    // Containers of every user connect; who is answered is decided by identification.
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).map_err(unusable(&socket))?;
    Ok((listener, file))
}

fn only_ours_to_write(path: &Path) -> Result<(), DirectoryError> {
    let metadata = fs::metadata(path).map_err(unusable(path))?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let ours = owner == rustix::process::geteuid().as_raw() && mode & 0o022 == 0;
    require(ours, DirectoryError::WritableByOthers { path: path.to_owned(), owner, mode })
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> DirectoryError {
    move |problem| DirectoryError::Unusable { path: path.to_owned(), problem }
}
