//! The boot log of a TD, held against the runtime measurement registers (RTMRs) of its quote.
//!
//! UEFI 2.10, 38.4 (`EFI_CC_MEASUREMENT_PROTOCOL`): the format is a TPM's (see [`crate::eventlog`]), with SHA-384 digests and measurement
//! registers for PCRs. Register 0 is MRTD, which nothing extends, and 1 to 4 are RTMR 0 to 3.

use super::td_report::TdReport;
use crate::check::{Checks, Rule};
use crate::claims::Claim;
use crate::eventlog::{EventKind, EventLog, LogError, Registers, Variable, secure_boot_of_td};
use crate::hex::encode as hex;
use crate::tpm::HashAlgorithm;
use crate::tpm::buffer::{Reader, StructureError};
use std::collections::BTreeMap;
use thiserror::Error;

/// The log leads to the quote's registers.
pub static RTMRS: Rule = Rule {
    name: "ccel.rtmrs",
    spec: "UEFI 2.10, 38.4; Intel TDX Virtual Firmware Design Guide, 8",
    remedy: "Send the log of the same boot as the quote, whole: /sys/firmware/acpi/tables/data/CCEL.",
};
/// The firmware measured that it handed over.
pub static EXIT_BOOT_SERVICES: Rule = Rule {
    name: "ccel.exit_boot_services",
    spec: "TCG PC Client PFP 1.06, 2.3.4.3 and 10.4.4 (EV_EFI_ACTION)",
    remedy: "Boot an operating system through the firmware: without this event nobody knows what was measured before it took over.",
};

/// What a log beside a quote owes: first whether it is the quote's.
pub static CCEL_RULES: &[&Rule] = &[&RTMRS];
/// What a log that is the quote's owes the policy.
pub static CCEL_POLICY_RULES: &[&Rule] = &[&EXIT_BOOT_SERVICES];

const BANK: HashAlgorithm = HashAlgorithm::Sha384;
/// The register that is RTMR 0; the others follow.
const FIRST: u8 = 1;
/// RTMR 1, in which the firmware measures what it loads and that it hands over.
const LOADED: u32 = 2;
/// RTMRs that the firmware extends: closed when the operating system runs, but for what a boot loader adds to the log itself.
const OF_THE_BOOT: usize = 3;
const HANDED_OVER: &[u8] = b"Exit Boot Services Returned with Success";

/// Why bytes are no boot log of a TD, or no table that points to one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CcelError {
    /// No log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An event is extended into a register that no TD has.
    #[error("event {position} extends register {found}, a TD has 1 to 4; send the log as the kernel has it")]
    Register {
        /// Position of the event, from 0.
        position: usize,
        /// What was there.
        found: u32,
    },
    /// The table ends elsewhere.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// The table is another, or altered.
    #[error("the ACPI table is {reason}; send /sys/firmware/acpi/tables/CCEL as the kernel has it")]
    Table {
        /// What is wrong.
        reason: &'static str,
    },
}

/// What a log leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtmrs {
    values: [[u8; 48]; 4],
    extended: [bool; 4],
}

impl Rtmrs {
    /// Replays the SHA-384 digests of `log`.
    ///
    /// # Errors
    /// [`CcelError`].
    pub fn replay(log: &EventLog<'_>) -> Result<Self, CcelError> {
        let other = log.events().iter().find(|event| event.is_extended() && !(1..=4).contains(&event.pcr));
        if let Some(event) = other {
            return Err(CcelError::Register { position: event.position, found: event.pcr });
        }
        let registers = Registers::replay(log, BANK)?;
        let mut rtmrs = Self { values: [[0; 48]; 4], extended: [false; 4] };
        for ((value, extended), index) in rtmrs.values.iter_mut().zip(&mut rtmrs.extended).zip(FIRST..) {
            value.copy_from_slice(registers.get(index).unwrap_or(&[0; 48]));
            *extended = registers.extended().contains(index);
        }
        Ok(rtmrs)
    }

    /// The registers that the log extends, by their number in the log (1 is RTMR 0), with what it leads to.
    pub fn extended(&self) -> impl Iterator<Item = (u8, &[u8; 48])> {
        let all = (FIRST..).zip(&self.values).zip(&self.extended);
        all.filter(|(_, extended)| **extended).map(|(register, _)| register)
    }
}

/// Appraises whether the log that leads to `replayed` is the one of the boot that `body` reports. RTMR 3, which only the operating system
/// extends, counts where the log has an event of it. Records [`RTMRS`].
pub fn appraise_rtmrs(replayed: &Rtmrs, body: &TdReport, checks: &mut Checks) -> bool {
    let both = replayed.values.iter().zip(&replayed.extended).zip(&body.rtmrs).enumerate();
    let mut told = both.filter(|(number, ((_, extended), _))| *number < OF_THE_BOOT || **extended);
    let differs = told.find(|(_, ((replayed, _), quoted))| replayed != quoted);
    let (expected, found) = match differs {
        Some((number, ((replayed, _), quoted))) => {
            (format!("RTMR {number} = {}, as quoted", hex(quoted)), format!("RTMR {number} = {}, replayed", hex(replayed)))
        }
        None => ("the quoted RTMRs".to_owned(), "the replay of the log".to_owned()),
    };
    checks.record(&RTMRS, differs.is_none(), expected, found)
}

/// Appraises that the firmware measured its hand-over. Records [`EXIT_BOOT_SERVICES`].
pub fn appraise_hand_over(log: &EventLog<'_>, checks: &mut Checks) -> bool {
    let digest = BANK.digest(&[HANDED_OVER]);
    let measured = log
        .events()
        .iter()
        .any(|event| event.pcr == LOADED && event.kind == EventKind::EFI_ACTION && log.digest(event, BANK) == Some(digest.as_ref()));
    let found = if measured { "that event" } else { "none" };
    checks.record(&EXIT_BOOT_SERVICES, measured, "Exit Boot Services Returned with Success, measured into RTMR 1", found)
}

/// What a log says about UEFI Secure Boot: whether it is on, and the length of each database in bytes. Proved only by [`RTMRS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecureBoot {
    /// Whether it is on, where RTMR 0 tells it: see [`secure_boot_of_td`].
    pub on: Option<bool>,
    /// `PK`, `KEK`, `db` and `dbx`, as far as they were measured.
    pub databases: BTreeMap<&'static str, usize>,
}

impl SecureBoot {
    /// Reads the variables that were measured into RTMR 0.
    #[must_use]
    pub fn of(log: &EventLog<'_>) -> Self {
        let on = match secure_boot_of_td(log, BANK) {
            Claim::Appraised(on) => Some(on),
            Claim::NotAppraised(_) => None,
        };
        let mut told = Self { on, databases: BTreeMap::new() };
        let configuring = log.events().iter().filter(|event| {
            let hash = BANK.digest(&[event.data]);
            event.pcr == u32::from(FIRST)
                && event.kind == EventKind::EFI_VARIABLE_DRIVER_CONFIG
                && log.digest(event, BANK) == Some(hash.as_ref())
        });
        for variable in configuring.filter_map(|event| Variable::parse(event.data)) {
            let name = variable.name();
            if let Some(name) = ["PK", "KEK", "db", "dbx"].into_iter().find(|known| *known == name) {
                told.databases.entry(name).or_insert(variable.contents.len());
            }
        }
        told
    }
}

/// The ACPI table that says where the log lies (UEFI 2.10, 38.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CcelTable {
    /// Least length of the area of the log, in bytes.
    pub area: u64,
    /// Its physical address in the TD.
    pub address: u64,
}

impl CcelTable {
    /// Reads a table, which ends where `bytes` do.
    ///
    /// # Errors
    /// [`CcelError::Structure`], [`CcelError::Table`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CcelError> {
        const INTEL_TDX: u8 = 2;
        let refused = |reason| Err(CcelError::Table { reason });
        let mut reader = Reader::new("ACPI table CCEL", bytes);
        let (signature, length): ([u8; 4], u32) = (reader.array()?, u32::from_le_bytes(reader.array()?));
        reader.take(28)?;
        let [kind, _, _, _] = reader.array()?;
        let (area, address) = (u64::from_le_bytes(reader.array()?), u64::from_le_bytes(reader.array()?));
        reader.finish()?;
        if signature != *b"CCEL" || usize::try_from(length) != Ok(bytes.len()) {
            return refused("of another kind or length");
        }
        if bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return refused("altered: its checksum does not hold");
        }
        if kind != INTEL_TDX {
            return refused("not for TDX");
        }
        Ok(Self { area, address })
    }
}
