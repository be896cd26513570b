//! The reference file: TOML in, a checked [`Reference`] out.

use std::collections::BTreeMap;

use podseal_protocol::Digest;
use serde::{Deserialize, Serialize};
use toml::value::Datetime;

use super::{Covered, Event, Reference};
use crate::calendar;
use crate::tpm::PcrSet;

/// Registers that are closed when the operating system runs. No other may carry policy: they go on growing or can be reset.
const BOOT: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14];

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReference {
    pub(super) name: String,
    pub(super) expires: Datetime,
    #[serde(default)]
    pub(super) require_secure_boot: bool,
    #[serde(default)]
    pub(super) pcr: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) event: Vec<RawEvent>,
}

/// One event as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    pub(super) pcr: u8,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) about: Option<String>,
}

/// Why a reference file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not the TOML of a reference file.
    #[error("the reference file does not parse: {0}")]
    Toml(String),
    /// A name that would not be readable in findings.
    #[error("the reference file's name {0:?} is empty, too long or has control characters: choose 1 to 64 printable characters")]
    Name(String),
    /// A time that is not in UTC.
    #[error("the reference file expires at {0}: write it in UTC, as 2026-12-31T00:00:00Z")]
    Expires(String),
    /// A register that no boot log proves.
    #[error("the reference file lists PCR {0}: only registers that are closed at boot can be compared (0 to 9 and 14)")]
    Register(String),
    /// Something that is no digest.
    #[error("the reference file has {0:?} for PCR {1}: wanted 64 hexadecimal digits of SHA-256")]
    NotADigest(String, u8),
    /// Neither or both of `digest` and `text`.
    #[error("event {0} of the reference file (counted from 1) must have either digest or text")]
    DigestOrText(usize),
    /// A register by its total and by its events.
    #[error("the reference file lists PCR {0} under [pcr] and as [[event]]: keep one")]
    Twice(u8),
    /// Nothing to compare.
    #[error("the reference file covers no register: list some under [pcr] or as [[event]]")]
    Nothing,
}

impl Reference {
    /// Parses and checks a reference file.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(toml: &str) -> Result<Self, ReferenceError> {
        let raw: RawReference = toml::from_str(toml).map_err(|error| ReferenceError::Toml(error.message().to_owned()))?;
        if !(1..=64).contains(&raw.name.chars().count()) || raw.name.chars().any(char::is_control) {
            return Err(ReferenceError::Name(raw.name));
        }
        let expires = calendar::to_unix(&raw.expires).ok_or_else(|| ReferenceError::Expires(raw.expires.to_string()))?;
        let mut covered: BTreeMap<u8, Covered> = BTreeMap::new();
        for (key, value) in &raw.pcr {
            let pcr = key.parse().ok().filter(|pcr: &u8| BOOT.contains(pcr) && pcr.to_string() == *key);
            let pcr = pcr.ok_or_else(|| ReferenceError::Register(key.clone()))?;
            covered.insert(pcr, Covered::Total(digest(value, pcr)?));
        }
        for (index, event) in raw.event.iter().enumerate() {
            if !BOOT.contains(&event.pcr) {
                return Err(ReferenceError::Register(event.pcr.to_string()));
            }
            match covered.entry(event.pcr).or_insert_with(|| Covered::Events(Vec::new())) {
                Covered::Events(events) => events.push(checked(event, index)?),
                Covered::Total(_) => return Err(ReferenceError::Twice(event.pcr)),
            }
        }
        if covered.is_empty() {
            return Err(ReferenceError::Nothing);
        }
        Ok(Self { name: raw.name, expires, require_secure_boot: raw.require_secure_boot, covered })
    }

    /// Name of the set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// End of its force, in seconds since 1970.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The registers that it covers.
    #[must_use]
    pub fn registers(&self) -> PcrSet {
        self.covered.keys().fold(PcrSet::default(), |set, pcr| set.with(*pcr).unwrap_or(set))
    }
}

fn checked(event: &RawEvent, index: usize) -> Result<Event, ReferenceError> {
    let digest = match (&event.digest, &event.text) {
        (Some(hex), None) => digest(hex, event.pcr)?,
        (None, Some(text)) => Digest::of(text.as_bytes()),
        _ => return Err(ReferenceError::DigestOrText(index + 1)),
    };
    let mut description = event.kind.clone().unwrap_or_else(|| "event".to_owned());
    if let Some(words) = event.about.as_ref().or(event.text.as_ref()) {
        description.push_str(": ");
        description.push_str(words);
    }
    Ok(Event { digest, description })
}

fn digest(hex: &str, pcr: u8) -> Result<Digest, ReferenceError> {
    Digest::from_hex(hex).ok_or_else(|| ReferenceError::NotADigest(hex.to_owned(), pcr))
}
