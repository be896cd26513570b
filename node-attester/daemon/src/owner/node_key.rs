//! The key of a node whose hardware has none that is this node's alone. It was born here, and signs each binding; in a TEE's guest its file
//! is as safe as the guest's disk.

use std::path::Path;

use aws_lc_rs::rand;
use podseal_protocol::{
    Digest, Limits,
    binding::node_key_message,
    cbor::{Decoder, Encoder, Malformed},
    evidence::Part,
    key::SecretKey,
};
use zeroize::Zeroizing;

use super::{TpmError, key_file};

const DOMAIN: &str = "podseal.node-key-state.v1";
/// Domain, scalar and heads have fewer bytes.
const MOST: usize = 128;

pub(super) struct NodeKey(SecretKey);

impl NodeKey {
    /// Reads the file.
    pub(super) fn load(path: &Path, limits: &Limits) -> Result<Self, TpmError> {
        Self::read(path, limits)?.ok_or_else(|| TpmError::NotEnrolled { path: path.to_owned() })
    }

    /// Reads the file, or makes a key and the file.
    pub(super) fn load_or_make(path: &Path, limits: &Limits) -> Result<Self, TpmError> {
        if let Some(key) = Self::read(path, limits)? {
            return Ok(key);
        }
        let mut scalar = Zeroizing::new([0; 32]);
        let key = loop {
            rand::fill(&mut *scalar).map_err(|_| TpmError::Randomness)?;
            // One in 2^32 is no scalar.
            if let Some(key) = SecretKey::from_scalar(&scalar) {
                break key;
            }
        };
        key_file::write(path, &Zeroizing::new(Encoder::message(DOMAIN, 2).bytes(&*scalar).finish()))?;
        Ok(Self(key))
    }

    fn read(path: &Path, limits: &Limits) -> Result<Option<Self>, TpmError> {
        let Some(bytes) = key_file::read(path, MOST)? else { return Ok(None) };
        let damaged = |problem: String| TpmError::DamagedKeyFile { path: path.to_owned(), problem };
        let scalar = decode(&bytes, limits).map_err(|e| damaged(e.to_string()))?;
        SecretKey::from_scalar(&scalar).map(|key| Some(Self(key))).ok_or_else(|| damaged("not a scalar of P-256".to_owned()))
    }

    /// SubjectPublicKeyInfo, DER.
    pub(super) fn spki(&self) -> Vec<u8> {
        self.0.public().to_spki()
    }

    /// What bindings have of it.
    pub(super) fn signer(&self) -> Vec<u8> {
        Digest::of(&self.spki()).0.to_vec()
    }

    pub(super) fn sign(&self, binding: &Digest) -> Part {
        Part::NodeKey(self.0.sign(&node_key_message(binding)))
    }
}

fn decode(bytes: &[u8], limits: &Limits) -> Result<Zeroizing<[u8; 32]>, Malformed> {
    let mut d = Decoder::message(bytes, DOMAIN, 2, limits)?;
    let scalar = Zeroizing::new(d.exact("node_key.scalar")?);
    d.end("node_key")?;
    Ok(scalar)
}
