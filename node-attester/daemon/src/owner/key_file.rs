//! Files that keep a node's key between starts: of this user alone, written whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use podseal_protocol::require;
use zeroize::Zeroizing;

use super::TpmError;

/// Reads the file, at most `most` bytes and one; `None` where there is none.
pub(super) fn read(path: &Path, most: usize) -> Result<Option<Zeroizing<Vec<u8>>>, TpmError> {
    let unreadable = |problem| TpmError::File { path: path.to_owned(), problem };
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let file = match OpenOptions::new().read(true).custom_flags(i32::from_ne_bytes(flags.to_ne_bytes())).open(path) {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    only_ours(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

/// Writes the file, whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), TpmError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let beside = path.with_extension("new");
    let steps = || {
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    steps().map_err(|problem| TpmError::File { path: path.to_owned(), problem })
}

/// A regular file of this user that nobody else may read or write.
fn only_ours(path: &Path, file: &File) -> Result<(), TpmError> {
    let metadata = file.metadata().map_err(|problem| TpmError::File { path: path.to_owned(), problem })?;
    let insecure = |found: String, wanted| TpmError::InsecureKeyFile { path: path.to_owned(), found, wanted };
    require(metadata.is_file(), insecure("no regular file".to_owned(), "a regular file"))?;
    let (owner, us) = (metadata.uid(), rustix::process::geteuid().as_raw());
    require(owner == us, insecure(format!("owner {owner}"), "the attester's own user"))?;
    let mode = metadata.mode() & 0o7777;
    require(mode & 0o077 == 0, insecure(format!("mode {mode:04o}"), "mode 0600"))
}
