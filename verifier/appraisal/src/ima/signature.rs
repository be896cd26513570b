//! Signatures of files (`ima-sig`): `signature_v2_hdr` of the kernel's security/integrity/integrity.h, over the digest of the entry.

use super::entry::{Entry, Measured, Template};
use crate::json;
use crate::tpm::HashAlgorithm;
use aws_lc_rs::digest::{Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Why bytes are no keyring.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// Not the JSON that it should be.
    #[error("the keyring is {0}; it is {{\"pubkeys\": [base64 of SubjectPublicKeyInfo], \"keyids\": [number]}}")]
    Json(String),
    /// A key without an id, or an id without a key.
    #[error("the keyring has {keys} keys and {ids} ids; give one id for each key")]
    Ids {
        /// Keys.
        keys: usize,
        /// Ids.
        ids: usize,
    },
    /// A key is no base64.
    #[error("key {0} of the keyring is no base64; give its SubjectPublicKeyInfo (DER) in base64")]
    Base64(usize),
}

/// Public keys of those who sign files, by id: `SubjectPublicKeyInfo`, DER. An id of four bytes can have several keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring(BTreeMap<u32, Vec<Vec<u8>>>);

#[derive(Deserialize)]
struct KeyringFile {
    pubkeys: Vec<String>,
    keyids: Vec<u32>,
}

impl Keyring {
    /// Reads a keyring in the form of Keylime: keys and their ids in two lists.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyringError> {
        let file: KeyringFile = json::parse(bytes).map_err(KeyringError::Json)?;
        if file.pubkeys.len() != file.keyids.len() {
            return Err(KeyringError::Ids { keys: file.pubkeys.len(), ids: file.keyids.len() });
        }
        let mut keys = BTreeMap::<_, Vec<_>>::new();
        for (index, (key, id)) in file.pubkeys.iter().zip(file.keyids).enumerate() {
            keys.entry(id).or_default().push(STANDARD.decode(key).map_err(|_| KeyringError::Base64(index))?);
        }
        Ok(Self(keys))
    }
}

/// What became of a file's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// The entry has none.
    None,
    /// The key of this id signed the digest.
    Good(u32),
    /// It did not.
    Bad(u32),
    /// The keyring has no key of this id.
    UnknownKey(u32),
    /// It is no `signature_v2_hdr`, or of a hash that nobody should rely on (SHA-1, MD5).
    Unsupported,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no signature"),
            Self::Good(key) => write!(f, "ok, key {key:08x}"),
            Self::Bad(key) => write!(f, "bad, key {key:08x}"),
            Self::UnknownKey(key) => write!(f, "unknown key {key:08x}"),
            Self::Unsupported => f.write_str("unsupported"),
        }
    }
}

impl Signature {
    /// Verifies the signature of `entry`; `None` where its template has no field for one.
    #[must_use]
    pub fn of(entry: &Entry<'_>, keyring: &Keyring) -> Option<Self> {
        let measured = entry.measured().filter(|_| matches!(entry.template, Template::Sig | Template::SigV2))?;
        let signature = measured.last.unwrap_or_default();
        if signature.is_empty() {
            return Some(Self::None);
        }
        let Some((hash, id, signature)) = header(signature) else { return Some(Self::Unsupported) };
        let Some(keys) = keyring.0.get(&id) else { return Some(Self::UnknownKey(id)) };
        let good = keys.iter().any(|key| verifies(key, hash, &measured, signature));
        Some(if good { Self::Good(id) } else { Self::Bad(id) })
    }
}

/// `EVM_IMA_XATTR_DIGSIG`, version 2, `enum hash_algo`, id of the key, length, signature; big-endian.
fn header(bytes: &[u8]) -> Option<(HashAlgorithm, u32, &[u8])> {
    let ([3, 2, hash, k0, k1, k2, k3, l0, l1], signature) = bytes.split_first_chunk::<9>()? else { return None };
    let hash = match hash {
        4 => HashAlgorithm::Sha256,
        5 => HashAlgorithm::Sha384,
        6 => HashAlgorithm::Sha512,
        _ => return None,
    };
    let whole = usize::from(u16::from_be_bytes([*l0, *l1])) == signature.len();
    whole.then_some((hash, u32::from_be_bytes([*k0, *k1, *k2, *k3]), signature))
}

fn verifies(spki: &[u8], hash: HashAlgorithm, measured: &Measured<'_>, signature: &[u8]) -> bool {
    if measured.hash() != Some(hash) {
        return false;
    }
    let (algorithm, verifiers): (_, &[&'static dyn VerificationAlgorithm]) = match hash {
        HashAlgorithm::Sha256 => {
            (&SHA256, &[&RSA_PKCS1_2048_8192_SHA256, &ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA256_ASN1, &ECDSA_P256K1_SHA256_ASN1])
        }
        HashAlgorithm::Sha384 => (&SHA384, &[&RSA_PKCS1_2048_8192_SHA384, &ECDSA_P384_SHA384_ASN1, &ECDSA_P256_SHA384_ASN1]),
        HashAlgorithm::Sha512 => (&SHA512, &[&RSA_PKCS1_2048_8192_SHA512, &ECDSA_P521_SHA512_ASN1]),
        HashAlgorithm::Sha1 => return false,
    };
    let Ok(digest) = Digest::import_less_safe(measured.digest, algorithm) else { return false };
    verifiers.iter().any(|verifier| UnparsedPublicKey::new(*verifier, spki).verify_digest(&digest, signature).is_ok())
}
