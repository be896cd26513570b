//! The boot log: what firmware, boot loader and kernel extended into the registers before the operating system ran.
//!
//! TCG PC Client Platform Firmware Profile (PFP) 1.06, section 10. The log itself is untrusted text by whoever sends it. What holds is
//! only this: where its digests replay to the quoted registers, these digests were extended, in this order. Type and data of an event
//! are not covered by that; data counts only where the digest is its hash, and a type never decides.

mod banks;
mod describe;
mod kind;
mod parse;
mod replay;
mod summary;
#[cfg(test)]
mod tests;
mod variable;

pub use banks::{LOG_BANKS_AGREE, appraise_banks};
pub use describe::{Description, covered_bytes, describe};
pub use kind::EventKind;
pub use parse::{Event, EventLog, Header, LogError};
pub use replay::{Registers, ReplayedEvent, ReplayedLog};
pub use summary::Summary;
pub(crate) use summary::count;
pub use variable::{Variable, secure_boot, secure_boot_of_td};

use crate::check::{Checks, Rule};
use crate::claims::Claim;
use crate::hex::encode as hex;
use crate::layout::Layout;
use crate::tpm::{HashAlgorithm, PcrSet, PcrValues};

/// The log parses and can be replayed into the bank that is quoted.
pub static LOG_WELL_FORMED: Rule = Rule {
    name: "log.well_formed",
    spec: "TCG PC Client PFP 1.06, 10.1 and 10.2",
    remedy: "Send /sys/kernel/security/tpm0/binary_bios_measurements as the kernel has it; a log without digests of the quoted bank needs a firmware update.",
};
/// The log's digests replay to the quoted registers.
pub static LOG_REPLAYS: Rule = Rule {
    name: "log.replays",
    spec: "TCG PC Client PFP 1.06, 10.3; TCG TPM 2.0 Part 1, 17",
    remedy: "Send the whole log of this boot; if it is that, something was measured that the log does not have, and the node needs a reboot.",
};
/// The log has measurements: of a machine that measured nothing, nothing is known.
pub static LOG_MEASURED: Rule = Rule {
    name: "log.measured",
    spec: "TCG PC Client PFP 1.06, 3.3.4",
    remedy: "Send the whole log of a machine whose firmware measures: in this one nothing is extended into any register.",
};

/// What every boot log owes.
pub static RULES: [&Rule; 2] = [&LOG_WELL_FORMED, &LOG_REPLAYS];
/// What a log without a quote owes besides, where it has several banks the first of them.
pub static UNQUOTED_RULES: [&Rule; 2] = [&LOG_BANKS_AGREE, &LOG_MEASURED];

/// Registers that are closed when the operating system runs: 0 to 7 firmware, 8, 9 and 14 boot loader. The others go on growing.
pub(crate) const BOOT_REGISTERS: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14];

/// Holds the replay of one bank against `values`: registers of the machine, each with what it holds. Returns the registers that are proved
/// so, none if one differs, and records [`LOG_REPLAYS`] where there is anything to compare.
///
/// A register that is closed at boot counts also where the log has no event of it; any other only where it has one: what the operating
/// system extends, the log of the boot does not tell.
pub fn appraise_registers<'v>(
    bank: HashAlgorithm,
    replayed: &Registers,
    values: impl IntoIterator<Item = (u8, &'v [u8])>,
    checks: &mut Checks,
) -> PcrSet {
    let closed = PcrSet::of(BOOT_REGISTERS).unwrap_or_default();
    let counts = |index: u8| closed.contains(index) || replayed.extended().contains(index);
    let mut compared = PcrSet::default();
    let mut differs = None;
    for (index, value) in values.into_iter().filter(|(index, _)| counts(*index)) {
        compared = compared.with(index).unwrap_or(compared);
        let found = replayed.get(index).unwrap_or_default();
        if found != value {
            differs = differs.or_else(|| Some((index, hex(value), hex(found))));
        }
    }
    if compared == PcrSet::default() {
        return compared;
    }
    let name = bank.name();
    let (expected, found) = match &differs {
        Some((index, given, found)) => (format!("PCR {index} ({name}) = {given}"), format!("PCR {index} ({name}) = {found}, replayed")),
        None => (format!("the values of PCR {compared} ({name})"), format!("the replay of PCR {compared} ({name})")),
    };
    if checks.record(&LOG_REPLAYS, differs.is_none(), expected, found) { compared } else { PcrSet::default() }
}

/// A log whose digests are those of the quoted registers; made only by [`appraise_log`].
#[derive(Debug, Clone, Copy)]
pub struct BootLog<'a> {
    log: &'a ReplayedLog,
    verified: PcrSet,
}

impl<'a> BootLog<'a> {
    /// The registers whose events are proved: quoted, closed at boot, and equal to the replay.
    #[must_use]
    pub fn verified(&self) -> PcrSet {
        self.verified
    }

    /// The events of these registers, in the order extended.
    pub fn events(&self) -> impl Iterator<Item = &'a ReplayedEvent> {
        let verified = self.verified;
        self.log.events().iter().filter(move |event| verified.contains(event.pcr))
    }

    /// What the boot would leave in the register that the pod log begins on, by the log's own events. That register is open after boot, so
    /// nothing but the records that follow can prove it; `None` where the log does not tell what was measured, or tells a pod log's record.
    #[must_use]
    pub fn before_pod_log(&self) -> Option<&'a [u8]> {
        self.log.before_pod_log()
    }

    /// What its registers are for.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.log.layout()
    }

    /// UEFI Secure Boot as the firmware measured it: see [`secure_boot`] and [`secure_boot_of_td`].
    #[must_use]
    pub fn secure_boot(&self) -> Claim<bool> {
        if !self.verified.contains(self.layout().secure_boot()) {
            return Claim::NotAppraised(self.layout().without_secure_boot());
        }
        self.log.secure_boot()
    }
}

/// Appraises a boot log against the registers that hardware vouches for. `log` is the outcome of [`ReplayedLog::replay`] for their bank and
/// layout, which a caller may keep by [`ReplayedLog::is_of`]: a node's log is the same for a whole boot.
///
/// Every quoted register that is closed at boot must equal its replay, also one without any event: else a log could leave out a
/// register as a whole. Records each of [`RULES`].
pub fn appraise_log<'a>(log: Result<&'a ReplayedLog, &LogError>, quoted: &PcrValues, checks: &mut Checks) -> Option<BootLog<'a>> {
    let found = log.map_or_else(ToString::to_string, |log| format!("{} events", log.events().len()));
    let expected = format!("a TCG event log with {} digests", quoted.bank());
    let well_formed = checks.record(&LOG_WELL_FORMED, log.is_ok(), expected, found);
    let log = log.ok().filter(|_| well_formed)?;
    let layout = log.layout();
    let verified = PcrSet::of(layout.boot())?.and(quoted.set());
    // Values of two banks are never equal: they are not of one length.
    let differs = verified.iter().find(|index| quoted.get(*index) != log.registers().get(*index));
    let holds = differs.is_none() && verified != PcrSet::default();
    let (expected, found) = match differs {
        Some(index) => difference(index, quoted, log),
        None => {
            let registers = layout.registers(verified);
            (format!("the quoted values of {registers}"), format!("the replay of {registers}"))
        }
    };
    checks.record(&LOG_REPLAYS, holds, expected, found).then_some(BootLog { log, verified })
}

fn difference(index: u8, quoted: &PcrValues, log: &ReplayedLog) -> (String, String) {
    let value = |values: &PcrValues| values.get(index).map_or_else(String::new, hex);
    let events = log.events().iter().filter(|event| event.pcr == index).count();
    let register = log.layout().register(index);
    (
        format!("{register} = {}, as quoted", value(quoted)),
        format!("{register} = {}, replayed from {events} events", value(log.registers())),
    )
}
