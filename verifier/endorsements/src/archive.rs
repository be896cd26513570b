//! An archive of endorsements (tar), for a site without network: made where there is one, and put into the folder there.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use podseal_appraisal::endorsement::{Endorsed, Endorsement, FileError, Number, SKEW};
use podseal_protocol::require;
use tar::{EntryType, Header};
use thiserror::Error;

use crate::folder::{Folder, FolderError, Found, LARGEST_FILE, Put};

/// Why there is no archive, or why one is not taken.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// Reading or writing failed, or the bytes are no archive.
    #[error("the archive: {0}: is it a whole one, as podseal endorsements export writes it?")]
    Io(#[from] io::Error),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// An entry that no export writes.
    #[error("the archive: found {0:?}, wanted only files that podseal endorsements export writes, each once")]
    Entry(String),
    /// An entry that is longer than any.
    #[error("the archive: {name}: found {found} bytes, wanted at most {LARGEST_FILE}")]
    TooLong {
        /// The entry.
        name: String,
        /// Its length.
        found: u64,
    },
    /// More than the folder would take.
    #[error("the archive: found more than {0} bytes, which the folder may have: allow more, or export less")]
    TooMuch(u64),
    /// An entry that is no endorsement.
    #[error("the archive: {name}: {error}")]
    Endorsement {
        /// The entry.
        name: String,
        /// What is wrong with it.
        error: FileError,
    },
    /// An entry that claims to have been fetched later than now.
    #[error("the archive: {0}: it was fetched in the future: set the clock here or where it was exported")]
    Future(String),
    /// An entry that is not authentic.
    #[error("the archive: {name}: {problem}")]
    NotAdmitted {
        /// The entry.
        name: String,
        /// Why.
        problem: String,
    },
}

/// Writes what the folder has, or of that only `wanted`. Gives back what was written.
///
/// # Errors
/// [`ArchiveError::Folder`], [`ArchiveError::Io`].
pub fn export(folder: &Folder, wanted: impl Fn(&Endorsement) -> bool, out: impl Write) -> Result<Vec<Found>, ArchiveError> {
    let mut found = folder.list()?;
    found.retain(|found| wanted(&found.endorsed.endorsement));
    let mut archive = tar::Builder::new(out);
    for Found { endorsed, .. } in &found {
        let file = endorsed.encode();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(endorsed.fetched);
        header.set_size(file.len() as u64);
        archive.append_data(&mut header, endorsed.endorsement.file_name(), file.as_bytes())?;
    }
    archive.into_inner()?.flush()?;
    Ok(found)
}

/// What became of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is in the folder.
    Written,
    /// What is there is as new, or newer.
    Kept,
    /// A greater number was seen before.
    Lower {
        /// Its number.
        found: Number,
        /// The mark.
        mark: Number,
    },
}

/// Puts the entries of an archive into the folder; `now` in seconds since 1970, `admit` as in [`crate::Admit`].
///
/// Every entry is looked at before the first is written: an archive with anything else in it changes nothing. Again with the same archive,
/// nothing changes either.
///
/// # Errors
/// [`ArchiveError`].
pub fn import(
    folder: &Folder,
    archive: impl Read,
    now: u64,
    admit: impl Fn(&Found, u64) -> Result<(), String>,
) -> Result<Vec<(Endorsement, Imported)>, ArchiveError> {
    let entries = read(archive, folder.most())?;
    for (name, found) in &entries {
        require(found.endorsed.fetched <= now.saturating_add(SKEW), ArchiveError::Future(name.clone()))?;
        admit(found, now).map_err(|problem| ArchiveError::NotAdmitted { name: name.clone(), problem })?;
    }
    let put = |found: Found| {
        let imported = match folder.put(&found.endorsed, &found.facts) {
            Ok(Put::Written) => Imported::Written,
            Ok(Put::Kept) => Imported::Kept,
            Err(FolderError::Lower { found, mark, .. }) => Imported::Lower { found, mark },
            Err(error) => return Err(error.into()),
        };
        Ok((found.endorsed.endorsement, imported))
    };
    entries.into_values().map(put).collect()
}

/// Every entry, by its name.
fn read(archive: impl Read, most: u64) -> Result<BTreeMap<String, Found>, ArchiveError> {
    // Each entry has a head, its name once more, and filling, besides what will be in the folder; an archive has an end.
    let mut archive = tar::Archive::new(archive.take(most.saturating_mul(2).saturating_add(1 << 20)));
    let (mut entries, mut total) = (BTreeMap::new(), 0_u64);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        require(entry.header().entry_type() == EntryType::Regular, ArchiveError::Entry(name.clone()))?;
        let found = entry.size();
        require(found <= LARGEST_FILE, ArchiveError::TooLong { name: name.clone(), found })?;
        total = total.saturating_add(found);
        require(total <= most, ArchiveError::TooMuch(most))?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        require(bytes.len() as u64 == found, ArchiveError::Io(io::ErrorKind::UnexpectedEof.into()))?;
        let parsed = Endorsed::parse(&bytes).map_err(|error| ArchiveError::Endorsement { name: name.clone(), error });
        let (endorsed, facts) = parsed?;
        // The one name that it has: no folder, no way out of one.
        require(endorsed.endorsement.file_name() == name, ArchiveError::Entry(name.clone()))?;
        let twice = entries.insert(name.clone(), Found { endorsed, facts }).is_some();
        require(!twice, ArchiveError::Entry(name))?;
    }
    Ok(entries)
}
