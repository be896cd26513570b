//! The file that keeps the AK between starts. Its private half is wrapped by the TPM and useless elsewhere; still only its owner may
//! read it, because whoever has it and the TPM can quote in this node's name.

use std::path::Path;

use podseal_protocol::{
    Limits,
    cbor::{Decoder, Encoder},
};

use super::{TpmError, key_file};
use crate::config::AkKind;

const DOMAIN: &str = "podseal.ak-state.v1";
/// TPM2B_PRIVATE and TPMT_PUBLIC of an RSA-2048 key have some 220 and 280 bytes.
const MOST: usize = 4096;

/// TPM_ALG_RSA and TPM_ALG_ECC: the type at the beginning of a TPMT_PUBLIC (TPM 2.0 Part 2, section 12.2.4).
const RSA: [u8; 2] = [0x00, 0x01];
const ECC: [u8; 2] = [0x00, 0x23];

/// Both halves of a key, as TPM2_Create gave them.
pub(super) struct AkState {
    /// What `public` says that it is.
    pub(super) kind: AkKind,
    /// TPMT_PUBLIC.
    pub(super) public: Vec<u8>,
    /// Contents of TPM2B_PRIVATE.
    pub(super) private: Vec<u8>,
}

impl AkState {
    /// Reads the file; `None` where there is none.
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Option<Self>, TpmError> {
        let Some(bytes) = key_file::read(path, MOST)? else { return Ok(None) };
        Self::decode(&bytes, limits).map(Some).map_err(|problem| TpmError::DamagedKeyFile { path: path.to_owned(), problem })
    }

    fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, String> {
        let parse = || {
            let mut d = Decoder::message(bytes, DOMAIN, 3, limits)?;
            let halves = (d.bytes("ak.public", MOST)?.to_vec(), d.bytes("ak.private", MOST)?.to_vec());
            d.end("ak")?;
            Ok(halves)
        };
        let (public, private) = parse().map_err(|e: podseal_protocol::cbor::Malformed| e.to_string())?;
        let kind = match public.first_chunk() {
            Some(&RSA) => AkKind::Rsa,
            Some(&ECC) => AkKind::Ecc,
            _ => return Err("ak.public: neither an RSA nor an ECC key".to_owned()),
        };
        Ok(Self { kind, public, private })
    }

    /// Writes the file, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), TpmError> {
        key_file::write(path, &Encoder::message(DOMAIN, 3).bytes(&self.public).bytes(&self.private).finish())
    }
}
