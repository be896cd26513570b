//! Boot logs of real machines, beyond what `tests/reports.rs` asks of each: descriptions, and every register altered.

use super::manifest::{Vector, unhex};
use super::quote::named;
use podseal_appraisal::check::Checks;
use podseal_appraisal::eventlog::{EventLog, Registers, appraise_registers, describe};
use podseal_appraisal::tpm::HashAlgorithm;
use podseal_protocol::Limits;
use serde_json::Value;

pub(crate) fn run(vector: &Vector) {
    let bytes = vector.file("eventlog.bin");
    let parsed = EventLog::parse(&bytes, &Limits::DEFAULT);
    if vector.verdict() == "malformed" {
        assert!(parsed.is_err(), "{}", vector.name());
        return;
    }
    let log = parsed.unwrap_or_else(|error| panic!("{}: {error}", vector.name()));
    let banks = vector.claim("algorithms").as_array().unwrap().iter().map(|name| named(name.as_str().unwrap()));
    for bank in banks {
        for event in log.events() {
            let digest = log.digest(event, bank).unwrap_or_default();
            assert!(!describe(event, bank, digest).text.chars().any(char::is_control));
        }
        if vector.has("pcrs.json") && vector.verdict() == "valid" {
            any_one_value_altered(&log, bank, &vector.json("pcrs.json")[bank.name()]);
        }
    }
}

fn any_one_value_altered(log: &EventLog<'_>, bank: HashAlgorithm, machine: &Value) {
    let replayed = Registers::replay(log, bank).unwrap();
    let machine = machine.as_object().into_iter().flatten();
    let machine = machine.map(|(index, value)| (index.parse::<u8>().unwrap(), unhex(value))).collect::<Vec<_>>();
    for altered in 0..machine.len() {
        let mut values = machine.clone();
        values[altered].1[0] ^= 1;
        let mut checks = Checks::owing(&[]);
        let proved = appraise_registers(bank, &replayed, values.iter().map(|(index, value)| (*index, value.as_slice())), &mut checks);
        assert_eq!(proved.mask(), 0);
        let found = checks.finish()[0].found.clone();
        assert!(found.starts_with(&format!("PCR {} ({})", values[altered].0, bank.name())), "{found}");
    }
}
