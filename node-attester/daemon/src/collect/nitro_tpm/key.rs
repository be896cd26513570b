//! The RSA endorsement key, to which the session's salt is encrypted: the maker's persistent one, or the same made anew from its seed.

use aws_lc_rs::{
    error::Unspecified,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents},
};

use super::{
    transport::Transport,
    wire::{self, Command, NO_SESSIONS, Response, SESSIONS},
};
use crate::collect::CollectError;

/// TPM_CC_ReadPublic, TPM_CC_CreatePrimary (TPM 2.0 Part 3, sections 12.4 and 24.1).
const READ_PUBLIC: u32 = 0x0000_0173;
const CREATE_PRIMARY: u32 = 0x0000_0131;
/// TPM_RH_ENDORSEMENT.
const ENDORSEMENT: u32 = 0x4000_000b;
/// Where makers keep the default RSA-2048 EK (TCG PC Client TPM Provisioning Guidance 1.0, section 7.8).
const PERSISTENT: u32 = 0x8101_0001;
/// Bytes of an RSA-2048 modulus.
const MODULUS: usize = 256;
/// Template L-1 up to the modulus (TCG EK Credential Profile 2.5, section B.3.3): RSA, SHA-256, fixedTPM, fixedParent, sensitiveDataOrigin,
/// adminWithPolicy, restricted, decrypt; PolicyA; AES-128-CFB, no scheme, 2048 bits, the default exponent.
const TEMPLATE: [u8; 56] = [
    0x00, 0x01, 0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2, 0x00, 0x20, 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d,
    0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa, 0x00, 0x06,
    0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// A loaded endorsement key.
pub(super) struct Key {
    pub(super) handle: u32,
    modulus: Vec<u8>,
    /// Made here, so that it has to go.
    transient: bool,
}

pub(super) fn endorsement(tpm: &mut Transport) -> Result<Key, CollectError> {
    let read = tpm.send("TPM2_ReadPublic of the EK", Command::new(NO_SESSIONS, READ_PUBLIC).u32(PERSISTENT), "");
    if let Some(modulus) = read.ok().as_mut().and_then(modulus) {
        return Ok(Key { handle: PERSISTENT, modulus, transient: false });
    }
    let public = Command::new(0, 0).bytes(&TEMPLATE).sized(&[0; MODULUS]).finish();
    let public = public.get(wire::HEADER..).unwrap_or_default();
    // An empty TPM2B_SENSITIVE_CREATE has two empty buffers in it; no outside info, no PCRs.
    let command = Command::new(SESSIONS, CREATE_PRIMARY).u32(ENDORSEMENT).password(&[]);
    let command = command.sized(&[0; 4]).sized(public).sized(&[]).u32(0);
    let remedy = "the endorsement hierarchy has to be enabled and its authorization empty (tpm2_changeauth -c e)";
    let step = "TPM2_CreatePrimary of the EK";
    let mut response = tpm.send(step, command, remedy)?;
    let handle = response.u32().ok_or_else(|| tpm.malformed(step))?;
    // parameterSize
    let modulus = response.u32().and_then(|_| modulus(&mut response));
    match modulus {
        Some(modulus) => Ok(Key { handle, modulus, transient: true }),
        None => {
            wire::flush(tpm, handle)?;
            Err(tpm.malformed(step))
        }
    }
}

/// The modulus in a TPM2B_PUBLIC that follows template L-1.
fn modulus(response: &mut Response) -> Option<Vec<u8>> {
    let public = response.sized()?;
    let unique = public.strip_prefix(&TEMPLATE)?.strip_prefix(&[0x01, 0x00])?;
    (unique.len() == MODULUS).then(|| unique.to_vec())
}

impl Key {
    /// RSA-OAEP with SHA-256 and the label "SECRET" (TPM 2.0 Part 1, section B.10.2).
    pub(super) fn encrypt(&self, salt: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let components = PublicKeyComponents { n: self.modulus.as_slice(), e: [0x01, 0x00, 0x01].as_slice() };
        let key: PublicEncryptingKey = components.try_into()?;
        let key = OaepPublicEncryptingKey::new(key)?;
        let mut encrypted = vec![0; key.ciphertext_size()];
        key.encrypt(&OAEP_SHA256_MGF1SHA256, salt, &mut encrypted, Some(b"SECRET\0"))?;
        Ok(encrypted)
    }

    pub(super) fn flush(self, tpm: &mut Transport) -> Result<(), CollectError> {
        if self.transient { wire::flush(tpm, self.handle) } else { Ok(()) }
    }
}
