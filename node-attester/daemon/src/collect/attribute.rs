//! Attributes of sysfs and configfs, and what looks like one: read as far as they are allowed to go, written in one call.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

use podseal_protocol::require;

use super::CollectError;

/// Reads a whole file of at most `most` bytes. `remedy` is told where it cannot be read.
///
/// # Errors
/// [`CollectError::File`], [`CollectError::TooLong`].
pub fn read(path: &Path, most: usize, remedy: &'static str) -> Result<Vec<u8>, CollectError> {
    let failed = |step| move |problem| CollectError::File { path: path.to_owned(), step, problem, remedy };
    let file = File::open(path).map_err(failed("open"))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
    require(bytes.len() <= most, CollectError::TooLong { path: path.to_owned(), most })?;
    Ok(bytes)
}

/// The same, where there may be no such file or nothing in it.
///
/// # Errors
/// As [`read`].
pub fn read_if_there(path: &Path, most: usize, remedy: &'static str) -> Result<Option<Vec<u8>>, CollectError> {
    match read(path, most, remedy) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        Err(CollectError::File { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes `bytes` by one call, since an attribute takes each call for a value of its own.
///
/// # Errors
/// [`CollectError::File`], also where fewer bytes were taken.
pub fn write(path: &Path, bytes: &[u8], remedy: &'static str) -> Result<(), CollectError> {
    let failed = |step| move |problem| CollectError::File { path: path.to_owned(), step, problem, remedy };
    let mut file = OpenOptions::new().write(true).open(path).map_err(failed("open for writing"))?;
    match file.write(bytes).map_err(failed("write"))? {
        written if written == bytes.len() => Ok(()),
        written => Err(failed("write")(io::Error::new(io::ErrorKind::WriteZero, format!("{written} of {} bytes were taken", bytes.len())))),
    }
}
