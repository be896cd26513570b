//! The archive: every input and result of a decision as a file named by its digest, encrypted.
//!
//! Files are complete or absent: written beside, synced, renamed, and the directory synced. Writing one twice is harmless; so is a file
//! that no entry names.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use podseal_protocol::{Digest, cbor::Encoder, require};
use thiserror::Error;

use crate::{
    kek::WrapError,
    keyring::Keyring,
    random::{self, NoRandomness},
};

const DOMAIN: &str = "podseal.archived.v1";
/// Beyond the largest object: one message, its nonce and its tag.
const LARGEST: u64 = (16 << 20) + 64;
/// What encrypting adds to an object: nonce and tag (NIST SP 800-38D: 96 and 128 bits).
const WRAPPED: usize = 12 + 16;
/// Digests that are remembered as durable, so that policies and references are not synced with every decision.
const REMEMBERED: usize = 4096;

/// Why an object was not written or read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("archive {path}: {error}: see whether the disk has room and the directory belongs to the verifier")]
    File {
        /// The file.
        path: String,
        /// What it said.
        error: io::Error,
    },
    /// No such object.
    #[error("archive: object {0} is missing: restore the archive directory from a backup")]
    Missing(Digest),
    /// It does not open, or is not what its name says.
    #[error("archive: object {0} was altered, or belongs to another verifier: restore it from a backup")]
    Altered(Digest),
    /// Longer than any object is: it would not be read back.
    #[error("archive: an object of {0} bytes, at most 16 MiB are kept: ask for fewer secrets in one container")]
    TooLong(usize),
    /// Encryption failed.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The task that wrote was cancelled.
    #[error("archive: the verifier is stopping")]
    Stopping,
}

/// The open archive.
#[derive(Debug, Clone)]
pub struct Archive {
    directory: PathBuf,
    keys: Arc<Keyring>,
    durable: Arc<Mutex<HashSet<Digest>>>,
}

impl Archive {
    /// Opens the archive in `directory`, making it (0700) where it is missing.
    ///
    /// # Errors
    /// [`ArchiveError::File`].
    pub fn open(directory: PathBuf, keys: Arc<Keyring>) -> Result<Self, ArchiveError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| failed(&directory, error))?;
        Ok(Self { directory, keys, durable: Arc::default() })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let (shelf, _) = name.split_at(2);
        self.directory.join(shelf).join(&name)
    }

    fn aad(&self, digest: &Digest) -> Vec<u8> {
        Encoder::message(DOMAIN, 3).bytes(self.keys.store_id()).digest(digest).finish()
    }

    /// Writes objects, and returns when all of them would survive a crash. Runs on the blocking pool.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn put(&self, objects: Vec<Vec<u8>>) -> Result<Vec<Digest>, ArchiveError> {
        let archive = self.clone();
        let write = move || objects.iter().map(|object| archive.put_blocking(object)).collect();
        tokio::task::spawn_blocking(write).await.map_err(|_| ArchiveError::Stopping)?
    }

    /// Writes one object on the caller's thread.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn put_blocking(&self, content: &[u8]) -> Result<Digest, ArchiveError> {
        require((content.len() + WRAPPED) as u64 <= LARGEST, ArchiveError::TooLong(content.len()))?;
        let digest = Digest::of(content);
        let durable = || self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = fs::metadata(self.path(&digest)).is_ok_and(|file| file.len() == (content.len() + WRAPPED) as u64);
        if durable().contains(&digest) && whole {
            return Ok(digest);
        }
        self.write(&digest, content)?;
        let mut durable = durable();
        if durable.len() >= REMEMBERED {
            durable.clear();
        }
        durable.insert(digest);
        Ok(digest)
    }

    fn write(&self, digest: &Digest, content: &[u8]) -> Result<(), ArchiveError> {
        let path = self.path(digest);
        let shelf = path.parent().unwrap_or(&self.directory);
        if self.get_blocking(digest).is_ok() {
            // Renamed before, perhaps by a process that died before it synced the name.
            return sync_directory(shelf);
        }
        let made = fs::DirBuilder::new().mode(0o700).create(shelf);
        match made {
            Ok(()) => sync_directory(&self.directory)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(shelf, error)),
        }
        let wrapped = self.keys.archive().wrap(&self.aad(digest), content)?;
        let beside = shelf.join(format!(".{}", random::audit_id()?));
        let written = write_synced(&beside, &wrapped).and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = written {
            // Best effort: what is left behind is encrypted and named by nothing.
            let _ = fs::remove_file(&beside);
            return Err(failed(&path, error));
        }
        sync_directory(shelf)
    }

    /// Reads the object of that digest.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`]; [`ArchiveError::Altered`] when the bytes are not the ones that the digest names.
    pub async fn get(&self, digest: Digest) -> Result<Vec<u8>, ArchiveError> {
        let archive = self.clone();
        tokio::task::spawn_blocking(move || archive.get_blocking(&digest)).await.map_err(|_| ArchiveError::Stopping)?
    }

    /// Reads on the caller's thread.
    ///
    /// # Errors
    /// As [`Archive::get`].
    pub fn get_blocking(&self, digest: &Digest) -> Result<Vec<u8>, ArchiveError> {
        let path = self.path(digest);
        let wrapped = match fs::metadata(&path).and_then(|file| if file.len() > LARGEST { Ok(Vec::new()) } else { fs::read(&path) }) {
            Ok(wrapped) => wrapped,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ArchiveError::Missing(*digest)),
            Err(error) => return Err(failed(&path, error)),
        };
        let content = self.keys.archive().unwrap(&self.aad(digest), wrapped).map_err(|_| ArchiveError::Altered(*digest))?;
        require(Digest::of(&content) == *digest, ArchiveError::Altered(*digest))?;
        Ok(content.to_vec())
    }
}

fn failed(path: &Path, error: io::Error) -> ArchiveError {
    ArchiveError::File { path: path.display().to_string(), error }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// POSIX fsync(2): a name is durable only when its directory is synced too.
fn sync_directory(path: &Path) -> Result<(), ArchiveError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| failed(path, error))
}
