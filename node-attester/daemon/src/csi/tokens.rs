//! The service-account tokens that the kubelet hands out with volumes, one for each pod: in a folder that root alone reads. It has to be in memory.
//!
//! Files, and not this process alone, keep them: an attester that starts anew knows the tokens of pods that run.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use podseal_protocol::require;
use rustix::fs::fstatfs;
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::target::is_plain;

/// Where the kubelet puts tokens: into `volume_context`, or from 1.35 on into `secrets` where the driver asks for that.
pub(super) const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";
/// Longest token that is taken; one has some 1.3 KB.
const LONGEST: usize = 16 << 10;
/// `f_type` of tmpfs (statfs(2)).
const TMPFS: u64 = 0x0102_1994;

/// Why a token is not kept.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The kubelet sent none for the verifier.
    #[error("no token for the audience {audience}: put it into tokenRequests of the CSIDriver object podseal.dev")]
    None {
        /// The verifier's id.
        audience: String,
    },
    /// The kubelet sent something else.
    #[error("the tokens are no JSON that maps audiences to tokens")]
    Malformed,
    /// The folder is not one for tokens.
    #[error("{path}: found {found}, wanted a folder in a tmpfs that is root's alone, mode 0700: correct csi.directory")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// The operating system refuses.
    #[error("{path}: {problem}: correct csi.directory")]
    System {
        /// What.
        path: PathBuf,
        /// What it said.
        problem: io::Error,
    },
}

/// As the kubelet writes them, by audience.
#[derive(Deserialize)]
struct Sent {
    token: String,
}

/// Tokens of the node's pods.
#[derive(Debug)]
pub struct Tokens {
    folder: PathBuf,
}

impl Tokens {
    /// Opens the folder, made where it is missing.
    ///
    /// # Errors
    /// [`TokenError::Folder`], [`TokenError::System`].
    pub fn open(folder: &Path) -> Result<Self, TokenError> {
        let failed = |problem| TokenError::System { path: folder.to_owned(), problem };
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let opened = File::open(folder).map_err(failed)?;
        let metadata = opened.metadata().map_err(failed)?;
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        let in_memory = fstatfs(&opened).map_err(|error| failed(error.into()))?.f_type.cast_unsigned() == TMPFS;
        let found = format!("owner {owner}, mode {mode:04o}, {}", if in_memory { "in memory" } else { "on a disk" });
        let ours = owner == rustix::process::geteuid().as_raw() && mode == 0o700 && in_memory && metadata.is_dir();
        require(ours, TokenError::Folder { path: folder.to_owned(), found })?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Keeps a pod's token for `audience`, in the place of the one before.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn keep(&self, pod_uid: &str, sent: &str, audience: &str) -> Result<(), TokenError> {
        let mut tokens: BTreeMap<String, Sent> = serde_json::from_str(sent).map_err(|_| TokenError::Malformed)?;
        let token = tokens.remove(audience).map(|sent| Zeroizing::new(sent.token));
        tokens.into_values().for_each(|mut other| other.token.zeroize());
        let plain = |token: &Zeroizing<String>| (1..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(plain).ok_or_else(|| TokenError::None { audience: audience.to_owned() })?;
        let (path, new) = (self.folder.join(pod_uid), self.folder.join(format!("{pod_uid}.new")));
        let failed = |problem| TokenError::System { path: path.clone(), problem };
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(token.as_bytes()).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)
    }

    /// A pod's token; empty where there is none.
    #[must_use]
    pub fn of(&self, pod_uid: &str) -> Zeroizing<Vec<u8>> {
        let mut token = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        if !is_plain(pod_uid) {
            return token;
        }
        let read = File::open(self.folder.join(pod_uid)).and_then(|file| file.take(LONGEST as u64).read_to_end(&mut token));
        match read {
            Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(pod_uid, %error, "the pod's token cannot be read"),
            _ => {}
        }
        token
    }

    /// Forgets a pod's token.
    ///
    /// # Errors
    /// [`TokenError::System`].
    pub fn forget(&self, pod_uid: &str) -> Result<(), TokenError> {
        let path = self.folder.join(pod_uid);
        match fs::remove_file(&path) {
            Err(problem) if problem.kind() != io::ErrorKind::NotFound => Err(TokenError::System { path, problem }),
            _ => Ok(()),
        }
    }
}
