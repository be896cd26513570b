//! The folder of endorsements: one file each, under its one name, and the file of high-water marks.
//!
//! Everything in it is written beside its place, synced and renamed, under one lock for all processes that write. So a verifier that runs
//! and an `import` beside it see whole files only, and no mark goes down.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use podseal_appraisal::endorsement::{Endorsed, Endorsement, Facts, FileError, LARGEST, Number};
use podseal_protocol::require;
use thiserror::Error;

use crate::marks::{self, Marks};

/// Most bytes of a file: base64 makes three bytes four and a line break, and the head is short.
pub(crate) const LARGEST_FILE: u64 = (LARGEST as u64) / 2 * 3;
const MARKS: &str = "high-water-marks";
const LOCK: &str = "lock";
/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".new-";

/// Why the folder did not give or take something.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The operating system refused.
    #[error("{path}: {error}: see whether the folder belongs to who runs this, and the disk has room")]
    File {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Others may write in it.
    #[error("{path}: found mode {found:04o}, wanted a folder that nobody else can write in: run chmod 0700 {path}")]
    Mode {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        found: u32,
    },
    /// It is somebody else's, who could not read what is written into it.
    #[error("{path}: found owner {found}, wanted {wanted}, who runs this: run it as the folder's owner (sudo -u)")]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner's user id.
        found: u32,
        /// The user id of this process.
        wanted: u32,
    },
    /// No endorsement.
    #[error("{path}: {error}")]
    Endorsement {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FileError,
    },
    /// Another one than its name says.
    #[error("{path}: found {found}, wanted what the name says: remove the file, and fetch or import it again")]
    Name {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// Older than what was there before.
    #[error("{name}: found number {found}, wanted at least {mark}, which was seen before: it is an old one")]
    Lower {
        /// Which endorsement.
        name: String,
        /// Its number.
        found: Number,
        /// The mark.
        mark: Number,
    },
    /// The marks are unreadable.
    #[error("{0}: found bytes that are not as podseal writes them: restore the file from a backup, or remove it and import anew")]
    Marks(PathBuf),
    /// No more room.
    #[error("{path}: found {found} bytes with what is to be written, wanted at most {most}: remove old files, or allow more")]
    Full {
        /// The folder.
        path: PathBuf,
        /// How much it would be.
        found: u64,
        /// What is allowed.
        most: u64,
    },
}

/// An endorsement in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is, whence and since when.
    pub endorsed: Endorsed,
    /// What it says of itself.
    pub facts: Facts,
}

impl Found {
    /// Seconds since it was fetched.
    #[must_use]
    pub fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.endorsed.fetched)
    }
}

/// What became of something that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is in the folder.
    Written,
    /// What is there is as new, or newer.
    Kept,
}

/// Which version of a file somebody saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    most: u64,
}

impl Folder {
    /// Opens the folder, making it (0700) where it is missing. It never has more than `most` bytes.
    ///
    /// # Errors
    /// [`FolderError::File`], [`FolderError::Mode`], [`FolderError::Owner`].
    pub fn open(path: &Path, most: u64) -> Result<Self, FolderError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
        let metadata = fs::metadata(path).map_err(failed(path))?;
        let (found, wanted) = (metadata.uid(), rustix::process::geteuid().as_raw());
        require(found == wanted, FolderError::Owner { path: path.to_owned(), found, wanted })?;
        let found = metadata.permissions().mode() & 0o7777;
        require(found & 0o022 == 0, FolderError::Mode { path: path.to_owned(), found })?;
        Ok(Self { path: path.to_owned(), most })
    }

    /// Most bytes that it may have.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }

    fn file(&self, endorsement: &Endorsement) -> PathBuf {
        self.path.join(endorsement.file_name())
    }

    /// Which version of it is there now.
    pub(crate) fn stamp(&self, endorsement: &Endorsement) -> Option<Stamp> {
        let metadata = fs::symlink_metadata(self.file(endorsement)).ok()?;
        Some(Stamp { inode: metadata.ino(), seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() })
    }

    /// What is there of it; `None` where there is nothing.
    ///
    /// # Errors
    /// [`FolderError`], also where it is older than its mark.
    pub fn get(&self, endorsement: &Endorsement) -> Result<Option<Found>, FolderError> {
        let Some(found) = self.read(endorsement)? else { return Ok(None) };
        let name = endorsement.to_string();
        not_below(&name, &found.facts, self.marks()?.of(&name))?;
        Ok(Some(found))
    }

    /// Everything that is there, by name. What does not end in `.pem` is left out; what does, and is no endorsement, is an error.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn list(&self) -> Result<Vec<Found>, FolderError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed(&self.path))? {
            let path = entry.map_err(failed(&self.path))?.path();
            if path.extension().is_none_or(|extension| extension != "pem") {
                continue;
            }
            let Some(bytes) = read(&path, LARGEST_FILE)? else { continue };
            let (endorsed, facts) = Endorsed::parse(&bytes).map_err(|error| FolderError::Endorsement { path: path.clone(), error })?;
            let named = path.file_name().is_some_and(|name| name == endorsed.endorsement.file_name().as_str());
            require(named, FolderError::Name { path: path.clone(), found: endorsed.endorsement.to_string() })?;
            found.push(Found { endorsed, facts });
        }
        found.sort_by_key(|found| found.endorsed.endorsement.to_string());
        Ok(found)
    }

    /// Puts `new` in the place of what is there, unless that is as new. Of two with the same number, or with none, the one that was fetched
    /// later is newer.
    ///
    /// # Errors
    /// [`FolderError::Lower`] where a greater number was seen before, whether or not that is still there; [`FolderError::Full`];
    /// [`FolderError::File`]. Then what was there is still there.
    pub fn put(&self, new: &Endorsed, facts: &Facts) -> Result<Put, FolderError> {
        let _lock = self.lock()?;
        let name = new.endorsement.to_string();
        let mut marks = self.marks()?;
        // What is broken is as good as not there: something whole takes its place.
        let there = self.read(&new.endorsement).unwrap_or_default();
        let number = there.as_ref().and_then(|there| there.facts.number);
        not_below(&name, facts, marks.of(&name).max(number))?;
        let is_usable = |there: &Found| there.facts.number >= marks.of(&name);
        let is_as_new = |there: &Found| there.facts.number >= facts.number && there.endorsed.fetched >= new.fetched;
        if there.as_ref().is_some_and(|there| is_usable(there) && is_as_new(there)) {
            return Ok(Put::Kept);
        }
        self.write(&new.endorsement.file_name(), new.encode().as_bytes())?;
        if facts.number.is_some_and(|number| marks.raise(&name, number)) {
            self.write(MARKS, marks.encode().as_bytes())?;
        }
        Ok(Put::Written)
    }

    fn read(&self, endorsement: &Endorsement) -> Result<Option<Found>, FolderError> {
        let path = self.file(endorsement);
        let Some(bytes) = read(&path, LARGEST_FILE)? else { return Ok(None) };
        let (endorsed, facts) = Endorsed::parse(&bytes).map_err(|error| FolderError::Endorsement { path: path.clone(), error })?;
        require(endorsed.endorsement == *endorsement, FolderError::Name { path, found: endorsed.endorsement.to_string() })?;
        Ok(Some(Found { endorsed, facts }))
    }

    fn marks(&self) -> Result<Marks, FolderError> {
        let path = self.path.join(MARKS);
        let Some(bytes) = read(&path, marks::LARGEST)? else { return Ok(Marks::default()) };
        std::str::from_utf8(&bytes).ok().and_then(Marks::parse).ok_or(FolderError::Marks(path))
    }

    /// Held until it is dropped.
    fn lock(&self) -> Result<File, FolderError> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path))?;
        file.lock().map_err(failed(&path))?;
        Ok(file)
    }

    /// Under the lock.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let (path, beside) = (self.path.join(name), self.path.join(format!("{UNFINISHED}{name}")));
        self.make_room(&path, content.len() as u64)?;
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            // POSIX fsync(2): a name is durable only when its directory is synced too.
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed(&path))
    }

    /// Removes what a process that died left behind, and sees whether `length` bytes at `path` fit.
    fn make_room(&self, path: &Path, length: u64) -> Result<(), FolderError> {
        let mut found = length;
        for entry in fs::read_dir(&self.path).map_err(failed(&self.path))? {
            let entry = entry.map_err(failed(&self.path))?;
            if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
                fs::remove_file(entry.path()).map_err(failed(&entry.path()))?;
            } else if entry.path() != path {
                found = found.saturating_add(entry.metadata().map_or(0, |metadata| metadata.len()));
            }
        }
        require(found <= self.most, FolderError::Full { path: self.path.clone(), found, most: self.most })
    }
}

fn not_below(name: &str, facts: &Facts, mark: Option<Number>) -> Result<(), FolderError> {
    match (facts.number, mark) {
        (Some(found), Some(mark)) if found < mark => Err(FolderError::Lower { name: name.to_owned(), found, mark }),
        _ => Ok(()),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |error| FolderError::File { path, error }
}

/// Reads a regular file of at most `most` bytes; `None` where there is none.
fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, FolderError> {
    // A link could lead anywhere, and a pipe would be waited for.
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    let refused = |what: &str| failed(path)(io::Error::other(what.to_owned()));
    require(metadata.is_file(), refused("found no regular file"))?;
    let mut bytes = Vec::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed(path))?;
    require(bytes.len() as u64 <= most, refused("found more bytes than such a file has"))?;
    Ok(Some(bytes))
}
