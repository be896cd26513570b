//! An HMAC session with SHA-512, salted to the endorsement key (TPM 2.0 Part 1, section 19.6).

use aws_lc_rs::{
    digest::{self, SHA512},
    error::Unspecified,
    hmac, rand,
};

use super::{
    key::Key,
    transport::Transport,
    wire::{self, ALG_NULL, Command, NO_SESSIONS, NULL},
};
use crate::collect::CollectError;

/// TPM_CC_StartAuthSession (Part 3, section 11.1).
const START_AUTH_SESSION: u32 = 0x0000_0176;
/// TPM_SE_HMAC.
const HMAC_SESSION: u8 = 0x00;
/// TPMA_SESSION: continueSession, so that it can be flushed whether the command succeeds or not.
const CONTINUE: u8 = 0x01;
/// Of a digest with SHA-512: nonces, keys, HMACs.
const DIGEST: usize = 64;
/// As long as the digest of the key's name: SHA-256.
const SALT: usize = 32;

/// A session that was just started.
pub(super) struct Session {
    pub(super) handle: u32,
    key: Vec<u8>,
    /// Of the TPM.
    nonce: Vec<u8>,
}

pub(super) fn start(tpm: &mut Transport, key: &Key) -> Result<Session, CollectError> {
    const STEP: &str = "TPM2_StartAuthSession";
    let failed = |_: Unspecified| CollectError::Cryptography { step: STEP };
    let (mut caller, mut salt) = ([0; DIGEST], [0; SALT]);
    rand::fill(&mut caller).map_err(failed)?;
    rand::fill(&mut salt).map_err(failed)?;
    let command = Command::new(NO_SESSIONS, START_AUTH_SESSION).u32(key.handle).u32(NULL);
    let command = command.sized(&caller).sized(&key.encrypt(&salt).map_err(failed)?);
    let command = command.u8(HMAC_SESSION).u16(ALG_NULL).u16(wire::SHA512);
    let mut response = tpm.send(STEP, command, "the TPM needs SHA-512 and a free session slot: tpm2_flushcontext -l")?;
    let handle = response.u32();
    let nonce = response.sized().map(<[u8]>::to_vec);
    let (handle, nonce) = handle.zip(nonce).ok_or_else(|| tpm.malformed(STEP))?;
    let key = session_key(&salt, &nonce, &caller);
    Ok(Session { handle, key, nonce })
}

/// KDFa with SHA-512, label "ATH", to 512 bits: one block of counter 1 (Part 1, sections 11.4.10.2 and 19.6.11).
fn session_key(salt: &[u8], tpm: &[u8], caller: &[u8]) -> Vec<u8> {
    let bits = 512_u32.to_be_bytes();
    let block = [&1_u32.to_be_bytes(), b"ATH\0".as_slice(), tpm, caller, &bits].concat();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, salt), &block).as_ref().to_vec()
}

impl Session {
    /// The authorization area for one command without parameters, over objects of these names; `auth` is what its first handle demands
    /// (Part 1, sections 18.7 and 19.6.5).
    pub(super) fn authorize(&self, code: u32, names: &[&[u8]], auth: &[u8]) -> Result<Vec<u8>, CollectError> {
        let mut caller = [0; DIGEST];
        rand::fill(&mut caller).map_err(|_| CollectError::Cryptography { step: "nonce of a command" })?;
        let parameters = digest::digest(&SHA512, &[&code.to_be_bytes(), names.concat().as_slice()].concat());
        let key = hmac::Key::new(hmac::HMAC_SHA512, &[self.key.as_slice(), auth].concat());
        let hmac = hmac::sign(&key, &[parameters.as_ref(), &caller, &self.nonce, &[CONTINUE]].concat());
        let area = Command::new(0, 0).u32(self.handle).sized(&caller).u8(CONTINUE).sized(hmac.as_ref()).finish();
        Ok(area.get(wire::HEADER..).unwrap_or_default().to_vec())
    }
}
