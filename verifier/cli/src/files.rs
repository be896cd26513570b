//! Files of the operator's own: bounded reads, and writes that are whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Largest configuration, certificate, key, key set or checkpoint, in bytes.
pub(crate) const CONFIGURATION: u64 = 1 << 20;

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// [`Failure::Read`], [`Failure::TooLong`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most { Err(Failure::TooLong { path: path.to_owned(), most }) } else { Ok(bytes) }
}

/// Reads a text file of at most `most` bytes.
///
/// # Errors
/// As [`read`], and [`Failure::NotText`].
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String, Failure> {
    String::from_utf8(read(path, most)?).map_err(|_| Failure::NotText { path: path.to_owned() })
}

/// Puts `content` in the place of what is at `path`: written beside it, synced, renamed.
///
/// # Errors
/// [`Failure::Write`]; what was there is still there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = File::create_new(&beside)?;
        io::Write::write_all(&mut file, content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // Best effort: the error that is reported is the one that matters.
        let _ = fs::remove_file(&beside);
        Failure::Write { path: path.to_owned(), error }
    })
}

/// The files in `folder` whose names end in `.json`, sorted; none where there is no such folder.
///
/// # Errors
/// [`Failure::Read`].
pub(crate) fn json_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::Read { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut files = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, Failure>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}
