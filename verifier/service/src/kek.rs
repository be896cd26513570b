//! The key-encryption key: it wraps every other key, and never lies in the store.

use std::{fmt, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use podseal_protocol::Digest;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use crate::random::{self, NoRandomness};

/// Why something was not wrapped or unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WrapError {
    /// Another key, another row, or altered bytes.
    #[error(
        "the ciphertext does not open in its row: it was moved or altered, or kek_file is another store's; restore the row, or the right key"
    )]
    DoesNotOpen,
    /// The library refused to encrypt.
    #[error("AES-256-GCM was refused by the cryptographic library: check how the verifier was built")]
    Refused,
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// An AES-256-GCM key that encrypts under random nonces. What it makes: nonce, ciphertext, tag.
pub struct Kek(RandomizedNonceKey);

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(..)")
    }
}

impl Kek {
    /// Takes 32 bytes.
    ///
    /// # Errors
    /// [`WrapError::DoesNotOpen`] for another length: an unwrapped key of another length was never one.
    pub fn new(key: &[u8]) -> Result<Self, WrapError> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Self).map_err(|_| WrapError::DoesNotOpen)
    }

    /// Encrypts `plaintext`; it opens only with the same `aad`.
    ///
    /// # Errors
    /// [`WrapError::Refused`].
    pub fn wrap(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, WrapError> {
        let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len()));
        buffer.extend_from_slice(plaintext);
        let nonce = self.0.seal_in_place_append_tag(Aad::from(aad), &mut *buffer).map_err(|_| WrapError::Refused)?;
        Ok([nonce.as_ref().as_slice(), &buffer].concat())
    }

    /// Decrypts what [`Kek::wrap`] made.
    ///
    /// # Errors
    /// [`WrapError::DoesNotOpen`].
    pub fn unwrap(&self, aad: &[u8], wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        let mut buffer = Zeroizing::new(wrapped);
        let (nonce, ciphertext) = buffer.split_at_mut_checked(NONCE_LEN).ok_or(WrapError::DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| WrapError::DoesNotOpen)?;
        let plaintext = self.0.open_in_place(nonce, Aad::from(aad), ciphertext).map_err(|_| WrapError::DoesNotOpen)?;
        Ok(Zeroizing::new(plaintext.to_vec()))
    }
}

/// Why there is no KEK.
#[derive(Debug, Error)]
pub enum KekError {
    /// The file cannot be read or written.
    #[error("kek_file {path}: {error}: run `podseal-verifier init` first, or give the verifier access")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// Not a key.
    #[error("kek_file {path}: found {found} bytes, wanted 64 hexadecimal digits and a newline: restore the file from its backup")]
    Form {
        /// The file.
        path: String,
        /// Its length.
        found: usize,
    },
    /// The library refused.
    #[error(transparent)]
    Wrap(#[from] WrapError),
}

/// Reads the KEK file. Its permissions are checked before ([`crate::permissions`]).
///
/// # Errors
/// [`KekError`].
pub fn load(path: &Path) -> Result<Kek, KekError> {
    let name = || path.display().to_string();
    let text = std::fs::read(path).map_err(|error| KekError::File { path: name(), error })?;
    let text = Zeroizing::new(text);
    let form = || KekError::Form { path: name(), found: text.len() };
    let digits = std::str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n')).ok_or_else(form)?;
    // 64 hexadecimal digits are what a digest is written as, too.
    let mut key = Digest::from_hex(digits).filter(|_| digits.len() == 64).ok_or_else(form)?.0;
    let kek = Kek::new(&key);
    key.zeroize();
    Ok(kek?)
}

/// Makes a KEK file, 0600, unless there is one.
///
/// # Errors
/// [`KekError`].
pub fn create(path: &Path) -> Result<(), KekError> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let failed = |error| KekError::File { path: path.display().to_string(), error };
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let key = Zeroizing::new(random::bytes::<32>().map_err(WrapError::from)?);
    let text = Zeroizing::new(format!("{}\n", Digest(*key)));
    // Whole or not at all, and durable before anything is wrapped with it.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = directory.join(format!(".{}", random::audit_id().map_err(WrapError::from)?));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link and not a renaming: another's file is never replaced.
    let named = written.and_then(|()| std::fs::hard_link(&beside, path));
    let removed = std::fs::remove_file(&beside);
    named.and(removed).and_then(|()| std::fs::File::open(directory)?.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_was_wrapped_opens_only_with_key_and_aad() {
        let (kek, other) = (Kek::new(&[1; 32]).unwrap(), Kek::new(&[2; 32]).unwrap());
        let wrapped = kek.wrap(b"row 1", b"value").unwrap();
        assert_eq!(kek.unwrap(b"row 1", wrapped.clone()).unwrap().as_slice(), b"value");
        assert_eq!(kek.unwrap(b"row 2", wrapped.clone()).unwrap_err(), WrapError::DoesNotOpen);
        assert_eq!(other.unwrap(b"row 1", wrapped.clone()).unwrap_err(), WrapError::DoesNotOpen);
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert_eq!(kek.unwrap(b"row 1", altered).unwrap_err(), WrapError::DoesNotOpen, "byte {at}");
        }
        assert_eq!(kek.unwrap(b"row 1", wrapped[..11].to_vec()).unwrap_err(), WrapError::DoesNotOpen);
    }

    #[test]
    fn the_file_is_made_once_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        create(&path).unwrap();
        let wrapped = load(&path).unwrap().wrap(b"", b"x").unwrap();
        create(&path).unwrap();
        assert_eq!(load(&path).unwrap().unwrap(b"", wrapped).unwrap().as_slice(), b"x");
        std::fs::write(&path, "0011\n").unwrap();
        assert!(matches!(load(&path), Err(KekError::Form { found: 5, .. })));
    }
}
