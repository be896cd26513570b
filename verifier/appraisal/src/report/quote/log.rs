//! The boot log that came with a quote: its digests lead to the quoted registers.

use super::signed::Signed;
use crate::eventlog::{BOOT_REGISTERS, EventLog, LOG_REPLAYS, Registers};
use crate::hex;
use crate::report::eventlog;
use crate::report::findings::Findings;
use crate::report::parts::Parts;
use crate::report::pcrs::Pcrs;
use crate::tpm::{HashAlgorithm, PcrSet};
use serde_json::{Map, Value, json};

/// Compares the log with the values of the quoted registers. Those that are closed at boot must be its replay; the others may have grown
/// since, and are told where they agree. A log of which no register is quoted that is closed at boot says nothing.
pub(super) fn compare(parts: &Parts<'_>, signed: &Signed<'_>, pcrs: &Pcrs, findings: &mut Findings) {
    let Some((log, _)) = eventlog::log(parts, findings) else { return };
    let closed = PcrSet::of(BOOT_REGISTERS).unwrap_or_default();
    let (mut compared, mut proved) = (Map::new(), false);
    for (bank, set) in signed.selected().filter(|(_, set)| set.and(closed) != PcrSet::default()) {
        let registers = match Registers::replay(&log, bank) {
            Ok(registers) => registers,
            Err(error) => {
                findings.authenticity.record(&LOG_REPLAYS, false, format!("{} digests", bank.name()), error.to_string());
                return;
            }
        };
        let differs = set.and(closed).iter().find(|index| registers.get(*index) != pcrs.get(bank, *index));
        let (expected, found) = match differs {
            Some(index) => difference(bank, index, pcrs, &registers),
            None => (format!("the quoted {} registers that are closed at boot", bank.name()), "the same".to_owned()),
        };
        if findings.authenticity.record(&LOG_REPLAYS, differs.is_none(), expected, found) {
            compared.insert(bank.name().to_owned(), json!(agreeing(&log, &registers, bank, pcrs)));
            proved |= registers.extended().and(closed).and(set) == registers.extended().and(closed);
        }
    }
    if !proved {
        findings.missing("quote of the boot", "a quote of every register that the boot log extends before the operating system runs");
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
