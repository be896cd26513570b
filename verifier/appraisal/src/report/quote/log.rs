//! The boot log that came with a quote: its digests lead to the quoted registers.

use super::signed::Signed;
use crate::eventlog::{BOOT_REGISTERS, EventLog, LOG_REPLAYS, Registers};
use crate::hex;
use crate::report::findings::Findings;
use crate::report::parts::{Item, Parts};
use crate::report::pcrs::Pcrs;
use crate::tpm::{HashAlgorithm, PcrSet};
use podseal_protocol::Limits;
use serde_json::{Map, Value, json};

/// Compares the log with the values of the quoted registers. Registers that stay open after boot may have grown since: they are told
/// where they agree, and reject nothing where they do not.
pub(super) fn compare(parts: &Parts<'_>, signed: &Signed<'_>, pcrs: &Pcrs, findings: &mut Findings) {
    let log = parts.only("boot log", findings, |item| if let Item::EventLog(bytes) = item { Some(*bytes) } else { None });
    let Some((file, bytes)) = log else { return };
    let log = match EventLog::parse(bytes, &Limits::DEFAULT) {
        Ok(log) => log,
        Err(error) => return findings.malformed(file, error),
    };
    let mut compared = Map::new();
    for (bank, set) in signed.selected() {
        let registers = match Registers::replay(&log, bank) {
            Ok(registers) => registers,
            Err(error) => {
                findings.authenticity.record(&LOG_REPLAYS, false, format!("{} digests", bank.name()), error.to_string());
                continue;
            }
        };
        let closed = PcrSet::of(BOOT_REGISTERS).unwrap_or_default();
        let differs = set.and(closed).iter().find(|index| registers.get(*index) != pcrs.get(bank, *index));
        let (expected, found) = match differs {
            Some(index) => difference(bank, index, pcrs, &registers),
            None => (format!("the quoted {} registers that are closed at boot", bank.name()), "the same".to_owned()),
        };
        if findings.authenticity.record(&LOG_REPLAYS, differs.is_none(), expected, found) {
            compared.insert(bank.name().to_owned(), json!(agreeing(&log, &registers, bank, pcrs)));
        }
    }
    findings.claim("log_pcrs_compared", Value::Object(compared));
}

fn difference(bank: HashAlgorithm, index: u8, pcrs: &Pcrs, registers: &Registers) -> (String, String) {
    let value = |value: Option<&[u8]>| value.map_or_else(|| "no value".to_owned(), hex::encode);
    (format!("{} PCR {index} = {}", bank.name(), value(pcrs.get(bank, index))), format!("replayed {}", value(registers.get(index))))
}

/// The registers that the log extends and whose values agree, in the order first extended.
fn agreeing(log: &EventLog<'_>, registers: &Registers, bank: HashAlgorithm, pcrs: &Pcrs) -> Vec<u8> {
    let mut order = Vec::new();
    for event in log.events().iter().filter(|event| event.is_extended()) {
        let index = u8::try_from(event.pcr).unwrap_or(u8::MAX);
        if !order.contains(&index) && registers.get(index).is_some() && registers.get(index) == pcrs.get(bank, index) {
            order.push(index);
        }
    }
    order
}
