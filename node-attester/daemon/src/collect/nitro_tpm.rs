//! Attestation documents of NitroTPM: Amazon's vendor command 0x20000001, by which the TPM hands what an NV index holds to the Nitro
//! security module and puts the answer in its place (aws/NitroTPM-Tools, nitro-tpm-attest).
//!
//! The software stack has no way for a vendor command, so this speaks the TPM's own wire format (TPM 2.0 Part 1, section 18) on a
//! connection of its own. Everything that is made on the way goes again: index, session, key.

mod index;
mod key;
mod session;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

use super::{
    CollectError,
    nsm_message::{self, Request},
};
use crate::config::Tcti;
use transport::Transport;
use wire::{Command, SESSIONS};

/// Amazon's command. Handles: the authorization and the index, both the same index; no parameters.
const NSM_REQUEST: u32 = 0x2000_0001;
/// TPM_PT_MANUFACTURER of NitroTPM.
const AMAZON: [u8; 4] = *b"AMZN";

/// Whether the TPM is a NitroTPM.
///
/// # Errors
/// Where it cannot be asked.
pub fn is_there(tcti: &Tcti) -> Result<bool, CollectError> {
    let mut tpm = Transport::connect(tcti)?;
    Ok(wire::property(&mut tpm, wire::MANUFACTURER)? == u32::from_be_bytes(AMAZON))
}

/// Asks the TPM for an attestation document.
///
/// # Errors
/// What the TPM or the Nitro security module refused.
pub fn collect(tcti: &Tcti, request: &Request<'_>) -> Result<Vec<u8>, CollectError> {
    let mut tpm = Transport::connect(tcti)?;
    let index = index::define(&mut tpm)?;
    let answer = ask(&mut tpm, &index, &request.encode());
    let undefined = index::undefine(&mut tpm, &index);
    let answer = answer?;
    undefined?;
    Ok(nsm_message::document(&tpm.path(), &answer)?.to_vec())
}

/// How a document calls its instance (`module_id`), true or not; `None` where it has no such field.
#[must_use]
pub fn module_id(document: &[u8]) -> Option<String> {
    nsm_message::text_field(document, "module_id")
}

fn ask(tpm: &mut Transport, index: &index::Index, request: &[u8]) -> Result<Vec<u8>, CollectError> {
    index::write(tpm, index, request)?;
    let key = key::endorsement(tpm)?;
    let done = session::start(tpm, &key).and_then(|session| {
        let done = command(tpm, &session, index, NSM_REQUEST);
        let flushed = wire::flush(tpm, session.handle);
        done.and(flushed)
    });
    let flushed = key.flush(tpm);
    done.and(flushed)?;
    index::read(tpm, index)
}

/// A command of two handles, both the index, and no parameters: the vendor's. Authorized by the session.
fn command(tpm: &mut Transport, session: &session::Session, index: &index::Index, code: u32) -> Result<(), CollectError> {
    let authorization = session.authorize(code, &[&index.name, &index.name], &index.auth)?;
    let command = Command::new(SESSIONS, code).u32(index.handle).u32(index.handle).authorization(&authorization);
    let remedy = "this TPM has no such command: it is no NitroTPM, or the instance's AMI was registered without attestation support";
    tpm.send("TPM2_VENDOR_AWS_NSM_REQUEST", command, remedy)?;
    Ok(())
}
