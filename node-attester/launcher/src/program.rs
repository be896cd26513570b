//! Finds the application's program and becomes it, as a container runtime would.

use core::fmt;
use std::{
    env,
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, accessat, stat},
    io::Errno,
};

use crate::kernel;

/// Searched where the environment has no PATH: what container runtimes set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that was found, and its words.
#[derive(Debug)]
pub(crate) struct Program {
    path: CString,
    words: Vec<CString>,
}

/// Why there is no program to become.
#[derive(Debug)]
pub(crate) enum ProgramError {
    /// No words, or an empty first one.
    NoCommand,
    /// A word holds a NUL byte.
    NulInWord { index: usize },
    /// A name that no folder of PATH has.
    NotInPath { name: OsString, searched: OsString },
    /// A path where nothing is.
    NoFile { path: PathBuf },
    /// Found, and it cannot be executed.
    NotExecutable { path: PathBuf, error: Errno },
}

impl ProgramError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoCommand => 64,
            Self::NulInWord { .. } | Self::NotExecutable { .. } => 126,
            Self::NotInPath { .. } | Self::NoFile { .. } => 127,
        }
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => f.write_str("there is no command: name one after --, or give the image an Entrypoint or a Cmd"),
            Self::NulInWord { index } => write!(f, "word {index} of the command holds a NUL byte: correct the image's Entrypoint or Cmd"),
            Self::NotInPath { name, searched } => {
                let (name, searched) = (name.to_string_lossy(), searched.to_string_lossy());
                write!(f, "{name:?} not found in PATH ({searched}): name it by its path, or set PATH in the image")
            }
            Self::NoFile { path } => write!(f, "{} not found (a path with a slash counts from the working directory)", path.display()),
            Self::NotExecutable { path, error } => {
                write!(f, "{} cannot be executed: {error}", path.display())?;
                f.write_str(match *error {
                    Errno::NOEXEC => "; a script must begin with #!, a program must be for this machine",
                    Errno::NOENT => "; the interpreter or loader that it names is missing from the image",
                    Errno::ACCESS => "; it needs mode x for this container's user, and a mount without noexec",
                    _ => "",
                })
            }
        }
    }
}

impl Program {
    /// Finds the first of `words` by this process's PATH and working directory.
    pub(crate) fn find(words: &[OsString]) -> Result<Self, ProgramError> {
        let name = words.first().filter(|name| !name.is_empty()).ok_or(ProgramError::NoCommand)?;
        let terminated =
            |(index, word): (usize, &OsString)| CString::new(word.clone().into_vec()).map_err(|_| ProgramError::NulInWord { index });
        let words = words.iter().enumerate().map(terminated).collect::<Result<Vec<_>, _>>()?;
        let found = if name.as_bytes().contains(&b'/') { named(Path::new(name)) } else { searched(name, env::var_os("PATH")) }?;
        let path = CString::new(found.into_os_string().into_vec()).map_err(|_| ProgramError::NulInWord { index: 0 })?;
        Ok(Self { path, words })
    }

    /// Becomes the program; argv\[0\] stays as it was given. Returns only when the kernel refuses.
    pub(crate) fn become_it(&self) -> ProgramError {
        let error = kernel::become_program(&self.path, &self.words);
        let path = PathBuf::from(OsStr::from_bytes(self.path.to_bytes()));
        ProgramError::NotExecutable { path, error }
    }
}

fn named(path: &Path) -> Result<PathBuf, ProgramError> {
    match executable(path) {
        Ok(()) => Ok(path.to_owned()),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(ProgramError::NoFile { path: path.to_owned() }),
        Err(error) => Err(ProgramError::NotExecutable { path: path.to_owned(), error }),
    }
}

/// The first folder of PATH that has an executable file of this name. As runc does, a folder that is not absolute never counts: which
/// program becomes the application must not hang on the working directory.
fn searched(name: &OsStr, path: Option<OsString>) -> Result<PathBuf, ProgramError> {
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let mut passed_over = None;
    for folder in env::split_paths(&path).filter(|folder| folder.is_absolute()) {
        let candidate = folder.join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error @ (Errno::ACCESS | Errno::ISDIR)) => {
                passed_over.get_or_insert(ProgramError::NotExecutable { path: candidate, error });
            }
            Err(_) => {}
        }
    }
    Err(passed_over.unwrap_or_else(|| ProgramError::NotInPath { name: name.to_owned(), searched: path }))
}

/// Whether this user may execute what is there.
fn executable(path: &Path) -> Result<(), Errno> {
    if FileType::from_raw_mode(stat(path)?.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::empty())
}
