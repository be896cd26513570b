//! A boot log without a quote, held against register values that are taken as given.

use super::Settings;
use super::findings::Findings;
use super::parts::{Item, Parts};
use crate::claims::Claim;
use crate::eventlog::{EventLog, LOG_MEASURED, LogError, Registers, Summary, appraise_banks, appraise_registers, secure_boot};
use crate::hex::encode as hex;
use crate::tpm::{HashAlgorithm, PcrSet};
use podseal_protocol::Limits;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// A log of any length that was read whole: what it takes is a multiple of that.
pub(super) const LIMITS: Limits = Limits { evidence_part: usize::MAX, events: usize::MAX, ..Limits::DEFAULT };

/// What a log leads to, by bank.
pub(super) type Banks = BTreeMap<HashAlgorithm, Registers>;

pub(super) fn appraise(parts: &Parts<'_>, _settings: &Settings<'_>, findings: &mut Findings) {
    let Some((log, length)) = log(parts, findings) else { return };
    let Some(banks) = replay(parts, &log, findings) else {
        return claims(&log, length, of_choice(known(&log)), findings);
    };
    let replayed = banks.iter().map(|(bank, registers)| (bank.name().to_owned(), values(registers)));
    findings.claim("replayed_pcrs", replayed.collect::<Value>());
    let proved = compare(parts, &banks, findings);
    let whole = |(bank, set): (&HashAlgorithm, &PcrSet)| banks.get(bank).is_some_and(|log| log.extended().and(*set) == log.extended());
    findings
        .claim("pcrs_compared", proved.iter().map(|(bank, set)| (bank.name().to_owned(), Value::from(set.to_string()))).collect::<Value>());
    if !proved.iter().any(whole) {
        findings.missing("pcrs", "the value of each register that the log extends, in one of its banks");
    }
    let wholly = of_choice(proved.iter().filter(|bank| whole(*bank)).map(|(bank, _)| *bank));
    let read = wholly.or_else(|| of_choice(proved.keys().copied())).or_else(|| of_choice(known(&log)));
    if let Some(read) = read {
        let unproved = known(&log).filter(|bank| *bank != read && !proved.contains_key(bank)).collect::<Vec<_>>();
        appraise_banks(&log, read, &unproved, &mut findings.authenticity);
    }
    let measured = banks.values().map(Registers::extended).find(|extended| *extended != PcrSet::default());
    let found = measured.map_or_else(|| "nothing measured".to_owned(), |extended| format!("measurements into PCR {extended}"));
    findings.policy.record(&LOG_MEASURED, measured.is_some(), "measurements", found);
    claims(&log, length, read, findings);
}

/// The one log among the parts, with its length in bytes.
pub(super) fn log<'a>(parts: &Parts<'a>, findings: &mut Findings) -> Option<(EventLog<'a>, usize)> {
    let (file, bytes) = parts.only("boot log", findings, |item| if let Item::EventLog(bytes) = item { Some(*bytes) } else { None })?;
    match EventLog::parse(bytes, &LIMITS) {
        Ok(log) => Some((log, bytes.len())),
        Err(error) => {
            findings.malformed(file, error);
            None
        }
    }
}

/// Replays each bank of the log that is known here.
pub(super) fn replay(parts: &Parts<'_>, log: &EventLog<'_>, findings: &mut Findings) -> Option<Banks> {
    match known(log).map(|bank| Ok((bank, Registers::replay(log, bank)?))).collect::<Result<_, LogError>>() {
        Ok(banks) => Some(banks),
        Err(error) => {
            let file = parts.each(|item| matches!(item, Item::EventLog(_)).then_some(())).next().map_or("", |(file, ())| file);
            findings.malformed(file, error);
            None
        }
    }
}

/// Holds the banks against each file of register values; what is proved so, by bank.
pub(super) fn compare(parts: &Parts<'_>, banks: &Banks, findings: &mut Findings) -> BTreeMap<HashAlgorithm, PcrSet> {
    let mut proved = BTreeMap::<_, PcrSet>::new();
    for (file, given) in parts.each(|item| if let Item::Pcrs(pcrs) = item { Some(pcrs) } else { None }) {
        for (bank, registers) in banks {
            let agree = appraise_registers(*bank, registers, given.bank(*bank), &mut findings.authenticity);
            if agree != PcrSet::default() {
                findings.anchor(format!("as given: {file}"));
                let before = proved.entry(*bank).or_default();
                *before = agree.iter().fold(*before, |set, index| set.with(index).unwrap_or(set));
            }
        }
    }
    proved
}

/// Tells what a log says of itself, its data as far as their digests of `bank` are their hash.
fn claims(log: &EventLog<'_>, length: usize, bank: Option<HashAlgorithm>, findings: &mut Findings) {
    let algorithms =
        log.algorithms().map(|id| HashAlgorithm::from_id(id).map_or_else(|| format!("{id:#06x}"), |bank| bank.name().to_owned()));
    findings.claim("algorithms", algorithms.collect::<Vec<_>>());
    findings.claim("format", if log.header().is_some() { "crypto-agile (TCG2)" } else { "SHA-1 (TPM 1.2 / legacy)" });
    if let Some(header) = log.header() {
        let (major, minor, errata) = header.version;
        findings.claim("spec", format!("{major}.{minor}.{errata}"));
        findings.claim("platform_class", header.platform_class);
        findings.claim("uintn", header.uintn_size);
    }
    let Some(bank) = bank else { return };
    findings.claim("data_held_against", bank.name());
    let summary = Summary::of(log, bank);
    findings.claim("events", summary.events);
    findings.claim("indices", summary.registers.iter().copied().collect::<Vec<_>>());
    findings.claim("event_types", summary.kinds.iter().map(|(kind, count)| (kind.to_string(), Value::from(*count))).collect::<Value>());
    if summary.ends_at < length {
        findings.claim("log_ends_at", summary.ends_at);
        findings.claim("padding_bytes", length - summary.ends_at);
    }
    if let Some(locality) = summary.startup_locality {
        findings.claim("startup_locality", locality);
    }
    let other_data = summary.digests_of_other_data.iter();
    let other_data = other_data.map(|((kind, pcr), count)| (format!("{kind} (PCR{pcr})"), Value::from(*count)));
    findings.claim("digest_not_hash_of_event_data", other_data.collect::<Value>());
    let mut variables =
        summary.databases.iter().map(|(name, length)| (format!("{name}_bytes"), Value::from(*length))).collect::<Map<_, _>>();
    if let Claim::Appraised(on) = secure_boot(log, bank) {
        variables.insert("SecureBoot".to_owned(), Value::from(on));
    }
    findings.claim("secure_boot", variables);
}

/// The banks of the log that are known here.
fn known(log: &EventLog<'_>) -> impl Iterator<Item = HashAlgorithm> {
    log.algorithms().filter_map(HashAlgorithm::from_id)
}

/// The bank whose digests are held against the events' data, of those that can be: SHA-256 where it is among them, or else the first.
fn of_choice(banks: impl Iterator<Item = HashAlgorithm>) -> Option<HashAlgorithm> {
    banks.min_by_key(|bank| *bank != HashAlgorithm::Sha256)
}

/// The registers that the log has something to say about.
fn values(registers: &Registers) -> Value {
    let told = (0..PcrSet::COUNT).filter_map(|index| Some((index, registers.get(index)?)));
    let told = told.filter(|(index, value)| registers.extended().contains(*index) || value.iter().any(|byte| *byte != 0));
    told.map(|(index, value)| (index.to_string(), Value::from(hex(value)))).collect()
}
