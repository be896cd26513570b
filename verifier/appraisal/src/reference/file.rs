//! The reference file: TOML in, a checked [`Reference`] out.

use std::collections::BTreeMap;

use podseal_protocol::{Bank, BankDigest};
use serde::{Deserialize, Serialize};
use toml::value::Datetime;

use super::{
    Covered, Event, Measured, Reference,
    launch::{LaunchValues, RawLaunch},
};
use crate::calendar;
use crate::layout::Layout;
use crate::tpm::PcrSet;

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReference {
    pub(super) name: String,
    pub(super) expires: Datetime,
    #[serde(default)]
    pub(super) require_secure_boot: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) bank: RawBank,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) layout: Layout,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) launch: Option<RawLaunch>,
    #[serde(default)]
    pub(super) pcr: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) event: Vec<RawEvent>,
}

/// The bank as it is written; where it is not, SHA-256.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawBank {
    #[default]
    Sha256,
    Sha384,
}

impl From<RawBank> for Bank {
    fn from(bank: RawBank) -> Self {
        match bank {
            RawBank::Sha256 => Self::Sha256,
            RawBank::Sha384 => Self::Sha384,
        }
    }
}

impl From<Bank> for RawBank {
    fn from(bank: Bank) -> Self {
        match bank {
            Bank::Sha256 => Self::Sha256,
            Bank::Sha384 => Self::Sha384,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    #[error("the reference file lists PCR {found}: only registers that are closed at boot can be compared ({})", allowed(*.layout))]
    Register {
        /// What it lists.
        found: String,
        /// The set's.
        layout: Layout,
    },
    /// Registers that no hardware has.
    #[error("the reference file has bank = \"{bank}\" with layout = \"{}\": registers of a TD are of SHA-384: write bank = \"sha384\"", .layout.name())]
    Bank {
        /// The set's.
        bank: Bank,
        /// The set's.
        layout: Layout,
    },
    /// Something that is no digest of the set's bank.
    #[error("the reference file has {found:?} for PCR {pcr}: wanted {} hexadecimal digits of {bank}, the set's bank", 2 * .bank.size())]
    NotADigest {
        /// What it has.
        found: String,
        /// For which register.
        pcr: u8,
        /// The set's.
        bank: Bank,
    },
    /// Neither or both of `digest` and `text`.
    #[error("event {0} of the reference file (counted from 1) must have either digest or text")]
    DigestOrText(usize),
    /// A register by its total and by its events.
    #[error("the reference file lists PCR {0} under [pcr] and as [[event]]: keep one")]
    Twice(u8),
    /// Something that is no measurement of a launch.
    #[error("the reference file has {0:?} under [launch]: wanted 96 hexadecimal digits, as the hardware reports them (podseal explain)")]
    NotAMeasurement(String),
    /// Launch values that say nothing, or too much.
    #[error(
        "[launch] of the reference file: wanted measurement (1 to 64), signer, or both; guest_svn only with signer, kernel only with measurement"
    )]
    Launch,
    /// What no register of the set could say.
    #[error("require_secure_boot of a reference file without registers: PCR 7 tells of Secure Boot: list registers, or leave it out")]
    SecureBoot,
    /// Said of the launch where registers say it.
    #[error("kernel under [launch] of a reference file with registers: they say which kernel booted: leave it out")]
    Kernel,
    /// Nothing to compare.
    #[error("the reference file covers nothing: list registers under [pcr] or as [[event]], or a launch under [launch]")]
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
        let (bank, layout) = (Bank::from(raw.bank), raw.layout);
        if !layout.has(bank) {
            return Err(ReferenceError::Bank { bank, layout });
        }
        let mut covered: BTreeMap<u8, Covered> = BTreeMap::new();
        for (key, value) in &raw.pcr {
            let pcr = key.parse().ok().filter(|pcr: &u8| layout.boot().contains(pcr) && pcr.to_string() == *key);
            let pcr = pcr.ok_or_else(|| ReferenceError::Register { found: key.clone(), layout })?;
            covered.insert(pcr, Covered::Total(digest(value, pcr, bank)?));
        }
        for (index, event) in raw.event.iter().enumerate() {
            // No other register may carry policy: it goes on growing or can be reset.
            if !layout.boot().contains(&event.pcr) {
                return Err(ReferenceError::Register { found: event.pcr.to_string(), layout });
            }
            match covered.entry(event.pcr).or_insert_with(|| Covered::Events(Vec::new())) {
                Covered::Events(events) => events.push(checked(event, index, bank)?),
                Covered::Total(_) => return Err(ReferenceError::Twice(event.pcr)),
            }
        }
        let launch = raw.launch.as_ref().map(LaunchValues::checked).transpose()?;
        if covered.is_empty() && launch.is_none() {
            return Err(ReferenceError::Nothing);
        }
        let bare = covered.is_empty();
        podseal_protocol::require(!bare || !raw.require_secure_boot, ReferenceError::SecureBoot)?;
        podseal_protocol::require(bare || !launch.as_ref().is_some_and(|launch| launch.kernel), ReferenceError::Kernel)?;
        Ok(Self { name: raw.name, expires, require_secure_boot: raw.require_secure_boot, bank, layout, launch, covered })
    }

    /// Whether it is a set for a machine of this kind.
    pub(super) fn fits(&self, measured: &Measured<'_>) -> bool {
        let registers = match (measured.quoted, measured.layout) {
            (Some(quoted), Some(layout)) => !self.covered.is_empty() && (self.bank, self.layout) == (quoted.bank(), layout),
            _ => self.covered.is_empty(),
        };
        registers && self.launch.is_some() == measured.launch.is_some()
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

    /// Bank of the registers that it covers.
    #[must_use]
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// Layout of the registers that it covers.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether it says what a TEE's hardware has to have measured at the start.
    #[must_use]
    pub fn covers_launch(&self) -> bool {
        self.launch.is_some()
    }

    /// The registers that it covers.
    #[must_use]
    pub fn registers(&self) -> PcrSet {
        self.covered.keys().fold(PcrSet::default(), |set, pcr| set.with(*pcr).unwrap_or(set))
    }
}

fn checked(event: &RawEvent, index: usize, bank: Bank) -> Result<Event, ReferenceError> {
    let digest = match (&event.digest, &event.text) {
        (Some(hex), None) => digest(hex, event.pcr, bank)?,
        (None, Some(text)) => bank.digest(text.as_bytes()),
        _ => return Err(ReferenceError::DigestOrText(index + 1)),
    };
    let mut description = event.kind.clone().unwrap_or_else(|| "event".to_owned());
    if let Some(words) = event.about.as_ref().or(event.text.as_ref()) {
        description.push_str(": ");
        description.push_str(words);
    }
    Ok(Event { digest, description })
}

fn digest(hex: &str, pcr: u8, bank: Bank) -> Result<BankDigest, ReferenceError> {
    BankDigest::from_hex(bank, hex).ok_or_else(|| ReferenceError::NotADigest { found: hex.to_owned(), pcr, bank })
}

/// The registers that a file may list.
fn allowed(layout: Layout) -> &'static str {
    match layout {
        Layout::Tpm => "0 to 9 and 14",
        Layout::Td => "1 to 3 of a TD",
    }
}
