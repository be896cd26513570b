//! Deriving a reference file from the boot log of a node that somebody trusts.

use std::collections::BTreeMap;

use super::file::{RawEvent, RawReference};
use crate::{
    calendar,
    eventlog::{EventLog, LogError, covered_bytes, describe},
    hex::encode as hex,
    layout::Layout,
    machine::Launch,
    tpm::{HashAlgorithm, PcrSet},
};
use podseal_protocol::{Bank, Limits};

/// Longest text taken into the file instead of its digest, in bytes.
const LONGEST_TEXT: usize = 4096;

/// What is to be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture<'a> {
    /// Name of the set.
    pub name: &'a str,
    /// End of its force, in seconds since 1970.
    pub expires: u64,
    /// Which of the log's digests it has.
    pub bank: Bank,
    /// What the log's registers are for.
    pub layout: Layout,
    /// The registers that it covers.
    pub registers: PcrSet,
    /// What the node's hardware measured at its start, where it does.
    pub launch: Option<Launch>,
}

/// Why no reference file can be derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The log is not one.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The time of expiry has no RFC 3339 form.
    #[error("expiry at {0} seconds since 1970 is beyond the year 9999: choose an earlier one")]
    Expires(u64),
    /// The log extends none of the registers.
    #[error(
        "found no event with a {1} digest in PCR {0}, wanted the boot log of a node that measures its boot: a set of registers that \
         were never extended would trust any machine that measures nothing"
    )]
    NothingMeasured(PcrSet, Bank),
    /// The file could not be written as TOML.
    #[error("the reference file cannot be written: {0}")]
    Toml(String),
}

/// The reference file for the registers of `wanted` as the boot log `log` has them: every event with its text where its digest is the hash of that
/// text, and a register without events by its total. Whoever applies the file vouches for the node that the log is of.
///
/// # Errors
/// [`CaptureError`].
pub fn capture(log: &[u8], wanted: &Capture<'_>, limits: &Limits) -> Result<String, CaptureError> {
    let Capture { name, expires, bank, layout, registers, launch } = *wanted;
    let hash = HashAlgorithm::from(bank);
    let log = EventLog::parse(log, limits)?;
    let mut event = Vec::new();
    for found in log.events().iter().filter(|event| event.is_extended()) {
        let Some(pcr) = u8::try_from(found.pcr).ok().filter(|pcr| registers.contains(*pcr)) else {
            continue;
        };
        let digest = log.digest(found, hash).ok_or(LogError::NoBank { bank: bank.name() })?;
        let text = covered_bytes(found, hash, digest).filter(|bytes| (1..=LONGEST_TEXT).contains(&bytes.len())).and_then(readable);
        let about = text.is_none().then(|| describe(found, hash, digest).text);
        let digest = text.is_none().then(|| hex(digest));
        event.push(RawEvent { pcr, kind: found.kind.name().map(str::to_owned), digest, text, about });
    }
    if event.is_empty() {
        return Err(CaptureError::NothingMeasured(registers, bank));
    }
    let silent = registers.iter().filter(|pcr| event.iter().all(|event| event.pcr != *pcr));
    let pcr: BTreeMap<_, _> = silent.map(|pcr| (pcr.to_string(), bank.zero().to_string())).collect();
    let expires = calendar::from_unix(expires).ok_or(CaptureError::Expires(expires))?;
    let raw = RawReference {
        name: name.to_owned(),
        expires,
        require_secure_boot: false,
        bank: bank.into(),
        layout,
        launch: launch.map(Into::into),
        pcr,
        event,
    };
    toml::to_string(&raw).map_err(|error| CaptureError::Toml(error.to_string()))
}

/// The reference file for a machine whose hardware has no registers: its launch alone.
///
/// # Errors
/// [`CaptureError::Expires`], [`CaptureError::Toml`].
pub fn capture_launch(name: &str, expires: u64, launch: Launch) -> Result<String, CaptureError> {
    let expires = calendar::from_unix(expires).ok_or(CaptureError::Expires(expires))?;
    let raw = RawReference {
        name: name.to_owned(),
        expires,
        require_secure_boot: false,
        bank: Bank::Sha256.into(),
        layout: Layout::Tpm,
        launch: Some(launch.into()),
        pcr: BTreeMap::new(),
        event: Vec::new(),
    };
    toml::to_string(&raw).map_err(|error| CaptureError::Toml(error.to_string()))
}

fn readable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.chars().all(|c| c.is_ascii_graphic() || c == ' ').then(|| text.to_owned())
}
