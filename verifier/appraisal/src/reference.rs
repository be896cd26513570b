//! Reference values: which events a trusted boot extends, register by register, and how far a measured boot agrees with them.
//!
//! A set lists for each register that it covers either every event in order (`[[event]]`) or the total (`[pcr]`). An event counts by its
//! digest alone; its type and text are what people read. A register that no set covers supports no claim.
//!
//! A set is of one bank, and of one layout of registers. To evidence of any other it is as if it were not there.
//!
//! Where a TEE's hardware measured the guest at its start, a set says what that has to be (`[launch]`): whoever chose the firmware chose what
//! that extends. A set without it is none for such a machine, and one with it is none for any other.

mod capture;
mod compare;
mod file;
mod launch;
pub mod rules;

use std::collections::BTreeMap;

pub use capture::{Capture, CaptureError, capture, capture_launch};
use compare::{Comparison, Outcome};
pub use file::ReferenceError;
use launch::LaunchValues;
use podseal_protocol::{Bank, BankDigest, Limits};

use crate::{
    check::{Checks, Rule},
    claims::{Boot, Claim},
    eventlog::{BootLog, EventLog, ReplayedEvent, describe},
    layout::Layout,
    machine::Launch,
    tpm::{PcrSet, PcrValues},
};

/// A checked set of reference values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    name: String,
    expires: u64,
    require_secure_boot: bool,
    bank: Bank,
    layout: Layout,
    launch: Option<LaunchValues>,
    covered: BTreeMap<u8, Covered>,
}

/// How a register is covered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Covered {
    Total(BankDigest),
    Events(Vec<Event>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    digest: BankDigest,
    description: String,
}

/// What was measured, and what proves it.
#[derive(Debug, Clone, Copy)]
pub struct MeasuredBoot<'a> {
    /// What a TEE's hardware measured before anything of the guest ran.
    pub launch: Option<Launch>,
    /// The registers that hardware vouches for; `None` where it has none.
    pub quoted: Option<&'a PcrValues>,
    /// What they are for; `None` where there are none.
    pub layout: Option<Layout>,
    /// The events that replay to them; `None` where there was no log, or none that does.
    pub log: Option<&'a BootLog<'a>>,
    /// The bytes of that log, for describing an event that differs.
    pub log_bytes: &'a [u8],
}

/// The same, in the form in which it is compared.
struct Measured<'a> {
    launch: Option<Launch>,
    quoted: Option<&'a PcrValues>,
    layout: Option<Layout>,
    proved: PcrSet,
    events: Vec<&'a ReplayedEvent>,
    secure_boot: Claim<bool>,
    describe: &'a dyn Fn(&ReplayedEvent) -> Option<String>,
}

/// What sets of reference values say of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppraisedBoot {
    /// How far it is at reference values.
    pub reach: Claim<Boot>,
    /// Whether what states all else is itself known: a set has the launch, or nothing measured one, as where a TPM states it.
    pub launched: bool,
}

/// Compares a measured boot with each set in `references` at `now` (seconds since 1970) and records the steps of the nearest one.
///
/// Without any set of this bank and layout nothing is owed and the boot is not appraised. A set that does not cover [`Layout::firmware`]
/// supports no claim; one that does not cover [`Layout::kernel`] besides none beyond the firmware.
pub fn appraise_boot(references: &[Reference], boot: MeasuredBoot<'_>, now: u64, limits: &Limits, checks: &mut Checks) -> AppraisedBoot {
    let describe = |event: &ReplayedEvent| {
        let log = EventLog::parse(boot.log_bytes, limits).ok()?;
        let found = log.events().iter().find(|found| found.position == event.position)?;
        let description = describe(found, event.digest.bank().into(), event.digest.as_ref());
        let doubt = if description.covered { "" } else { " (so the log says; no digest covers it)" };
        Some(description.text + doubt)
    };
    let measured = Measured {
        launch: boot.launch,
        quoted: boot.quoted,
        layout: boot.layout,
        proved: boot.log.map(BootLog::verified).unwrap_or_default(),
        events: boot.log.map(|log| log.events().collect()).unwrap_or_default(),
        secure_boot: boot.log.map_or(Claim::NotAppraised("there is no boot log"), BootLog::secure_boot),
        describe: &describe,
    };
    compare(references, &measured, now, checks)
}

fn compare(references: &[Reference], measured: &Measured<'_>, now: u64, checks: &mut Checks) -> AppraisedBoot {
    let fitting = references.iter().filter(|reference| reference.fits(measured));
    let all = fitting.map(|reference| Comparison::of(reference, measured));
    let Some(nearest) = all.max_by_key(|comparison| comparison.nearness(now)) else {
        let why = if references.is_empty() {
            "no reference values are configured for the node"
        } else {
            "no reference values are of the bank and layout of the node's registers, and of a launch where its hardware measures that"
        };
        return AppraisedBoot { reach: Claim::NotAppraised(why), launched: measured.launch.is_none() };
    };
    let set = nearest.reference;
    let origin = format!("reference set {}", set.name);
    let in_force = checks.record_from(
        origin.clone(),
        &rules::NOT_EXPIRED,
        now < set.expires,
        format!("in force at {now}"),
        format!("expires {}", set.expires),
    );
    let launched = measured.launch.is_none() || group(&origin, Layout::Tpm, &rules::LAUNCH, &nearest.launch, checks) && in_force;
    AppraisedBoot { reach: reach(&nearest, measured, &origin, in_force && launched, checks), launched }
}

/// How far the boot is at the values of the nearest set, which holds so far.
fn reach(nearest: &Comparison<'_>, measured: &Measured<'_>, origin: &str, holds: bool, checks: &mut Checks) -> Claim<Boot> {
    let set = nearest.reference;
    let (Some(layout), Some(_)) = (measured.layout, measured.quoted) else {
        let kernel = set.launch.as_ref().is_some_and(|launch| launch.kernel);
        return Claim::Appraised(match (holds, kernel) {
            (false, _) => Boot::None,
            (true, false) => Boot::Firmware,
            (true, true) => Boot::Kernel,
        });
    };
    let firmware = group(origin, layout, &rules::FIRMWARE, &nearest.firmware, checks);
    let kernel = group(origin, layout, &rules::KERNEL, &nearest.kernel, checks);
    let secure = !set.require_secure_boot || secure_boot(origin, &measured.secure_boot, checks);
    if nearest.firmware == Outcome::NotCovered {
        return Claim::NotAppraised(layout.without_firmware());
    }
    Claim::Appraised(match (holds && secure && firmware, kernel) {
        (false, _) => Boot::None,
        (true, false) => Boot::Firmware,
        (true, true) => Boot::Kernel,
    })
}

/// Whether the group agrees. Nothing is owed for one that the set does not cover, and it does not agree either.
fn group(origin: &str, layout: Layout, rule: &'static Rule, outcome: &Outcome, checks: &mut Checks) -> bool {
    match outcome {
        Outcome::NotCovered => false,
        Outcome::Unproved(pcr) => {
            let register = layout.register(*pcr);
            checks.not_appraised(rule, format!("{origin} covers {register}, which is not quoted or has no log that replays to it"));
            false
        }
        Outcome::Matches => checks.record_from(origin.to_owned(), rule, true, "the events of the set", "the same events"),
        Outcome::Differs(difference) => {
            checks.record_from(origin.to_owned(), rule, false, difference.expected.clone(), difference.found.clone())
        }
    }
}

fn secure_boot(origin: &str, found: &Claim<bool>, checks: &mut Checks) -> bool {
    match found {
        Claim::Appraised(on) => {
            checks.record_from(origin.to_owned(), &rules::SECURE_BOOT, *on, "Secure Boot on", if *on { "on" } else { "off" })
        }
        Claim::NotAppraised(why) => {
            checks.not_appraised(&rules::SECURE_BOOT, *why);
            false
        }
    }
}

#[cfg(test)]
mod tests;
