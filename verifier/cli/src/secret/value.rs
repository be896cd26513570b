//! Reading a value: into memory that is wiped, past every buffer that is not.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    os::fd::AsFd as _,
    path::Path,
};

use podseal_protocol::Limits;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Longest value, in bytes.
const MOST: usize = Limits::DEFAULT.secret;

/// The value in the file at `path`.
///
/// # Errors
/// [`Failure::Read`], [`Failure::ValueLength`].
pub(super) fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error| Failure::Read { path: path.to_owned(), error };
    check(read(File::open(path).map_err(failed)?).map_err(failed)?)
}

/// The value on standard input.
///
/// # Errors
/// [`Failure::Terminal`] where people would see it typed; [`Failure::Read`], [`Failure::ValueLength`].
pub(super) fn from_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::Terminal);
    }
    let failed = |error| Failure::Read { path: Path::new("standard input").to_owned(), error };
    // The standard library's handle keeps a buffer of its own, which nobody would wipe.
    let unbuffered = File::from(stdin.as_fd().try_clone_to_owned().map_err(failed)?);
    check(read(unbuffered).map_err(failed)?)
}

/// Reads up to one byte more than allowed, into memory that never moves.
fn read(mut source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut value = Zeroizing::new(vec![0; MOST + 1]);
    let mut length = 0;
    while let Some(room) = value.get_mut(length..).filter(|room| !room.is_empty()) {
        match source.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    value.truncate(length);
    Ok(value)
}

fn check(value: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match value.len() {
        0 => Err(Failure::ValueLength { found: "0".to_owned(), most: MOST }),
        1..=MOST => Ok(value),
        _ => Err(Failure::ValueLength { found: "more".to_owned(), most: MOST }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_within_the_bounds_are_taken_byte_for_byte() {
        let longest = vec![7; MOST];
        for value in [b"s".as_slice(), b"two\nlines\n\0", &longest] {
            assert_eq!(check(read(value).unwrap()).unwrap().as_slice(), value);
        }
        let too_long = [longest.as_slice(), b"x"].concat();
        for value in [b"".as_slice(), &too_long] {
            assert!(matches!(check(read(value).unwrap()), Err(Failure::ValueLength { .. })));
        }
    }
}
