//! Boot logs of real machines.

use super::manifest::{Vector, hex, unhex};
use super::quote::named;
use podseal_appraisal::claims::Claim;
use podseal_appraisal::eventlog::{Event, EventKind, EventLog, Registers, Variable, describe, secure_boot};
use podseal_appraisal::tpm::HashAlgorithm;
use podseal_protocol::Limits;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn run(vector: &Vector) {
    let bytes = vector.file("eventlog.bin");
    let parsed = EventLog::parse(&bytes, &Limits::DEFAULT);
    if vector.verdict() == "malformed" {
        assert!(parsed.is_err(), "{}", vector.name());
        return;
    }
    let log = parsed.unwrap_or_else(|error| panic!("{}: {error}", vector.name()));
    claims(vector, &log);
    secure_boot_claims(vector, &log);
    digests_of_other_data(vector, &log);
    let replayed = banks(vector).into_iter().map(|bank| (bank, Registers::replay(&log, bank).unwrap())).collect::<Vec<_>>();
    for (bank, registers) in &replayed {
        let claimed = vector.claim("replayed_pcrs")[bank.name()].as_object().unwrap_or(&Map::new()).clone();
        for (index, value) in claimed {
            assert_eq!(hex(registers.get(index.parse().unwrap()).unwrap()), value, "{} {} PCR {index}", vector.name(), bank.name());
        }
    }
    if !vector.has("pcrs.json") {
        assert_eq!(vector.verdict(), "parse");
        return;
    }
    let differing = differing(&vector.json("pcrs.json"), &replayed);
    let expected: &[(&str, u8)] = match vector.name() {
        "exit-boot-services-missing" => &[("sha1", 5)],
        "neg-derived-digest-bitflip" => &[("sha1", 8)],
        _ => &[],
    };
    assert_eq!(differing, expected, "{}", vector.name());
    assert_eq!(vector.verdict() == "valid", differing.is_empty());
    for _ in vector.entry["alternates"].as_array().into_iter().flatten() {
        any_one_value_altered(vector, &replayed);
    }
}

fn banks(vector: &Vector) -> Vec<HashAlgorithm> {
    vector.claim("algorithms").as_array().unwrap().iter().map(|name| named(name.as_str().unwrap())).collect()
}

/// The registers in which log and machine differ, in the banks that both have.
fn differing(machine: &Value, replayed: &[(HashAlgorithm, Registers)]) -> Vec<(&'static str, u8)> {
    let mut out = Vec::new();
    for (bank, registers) in replayed {
        for (index, value) in machine[bank.name()].as_object().into_iter().flatten() {
            let index = index.parse().unwrap();
            if unhex(value) != registers.get(index).unwrap() {
                out.push((bank.name(), index));
            }
        }
    }
    out
}

fn any_one_value_altered(vector: &Vector, replayed: &[(HashAlgorithm, Registers)]) {
    let machine = vector.json("pcrs.json");
    for (bank, _) in replayed {
        for (index, value) in machine[bank.name()].as_object().into_iter().flatten() {
            let mut altered = unhex(value);
            altered[0] ^= 1;
            let mut machine = machine.clone();
            machine[bank.name()][index] = json!(hex(&altered));
            assert_eq!(differing(&machine, replayed), [(bank.name(), index.parse().unwrap())]);
        }
    }
}

/// Windows ends its log with a message to no register, which the manifest does not count.
fn counted<'l, 'a>(log: &'l EventLog<'a>) -> impl Iterator<Item = &'l Event<'a>> {
    log.events().iter().filter(|event| event.pcr != u32::MAX)
}

fn claims(vector: &Vector, log: &EventLog<'_>) {
    let mut types = BTreeMap::<String, usize>::new();
    for event in counted(log) {
        *types.entry(event.kind.to_string()).or_default() += 1;
    }
    let algorithms = log.algorithms().map(|id| HashAlgorithm::from_id(id).unwrap().name()).collect::<Vec<_>>();
    let format = if log.header().is_some() { "crypto-agile (TCG2)" } else { "SHA-1 (TPM 1.2 / legacy)" };
    let mut found = vec![
        ("format", json!(format)),
        ("algorithms", json!(algorithms)),
        ("events", json!(counted(log).count())),
        ("indices", json!(counted(log).map(|event| event.pcr).collect::<BTreeSet<_>>())),
        ("event_types", json!(types)),
    ];
    if let Some(header) = log.header() {
        let (major, minor, errata) = header.version;
        found.push(("spec", json!(format!("{major}.{minor}.{errata}"))));
        found.push(("platform_class", json!(header.platform_class)));
        found.push(("uintn", json!(header.uintn_size)));
    }
    let locality = log.events().iter().find_map(|event| event.data.strip_prefix(b"StartupLocality\0"));
    found.push(("startup_locality", locality.map_or(Value::Null, |locality| json!(locality[0]))));
    for (name, found) in found {
        assert_eq!(*vector.claim(name), found, "{} {name}", vector.name());
    }
}

fn secure_boot_claims(vector: &Vector, log: &EventLog<'_>) {
    let claimed = vector.claim("secure_boot");
    let state = secure_boot(log, banks(vector)[0]);
    match claimed["SecureBoot"].as_bool() {
        Some(on) => assert_eq!(state, Claim::Appraised(on), "{}", vector.name()),
        None => assert!(matches!(state, Claim::NotAppraised(_)), "{}", vector.name()),
    }
    for name in ["PK", "KEK", "db", "dbx"] {
        let variables = log.events().iter().filter(|event| event.kind == EventKind::EFI_VARIABLE_DRIVER_CONFIG);
        let length = variables.filter_map(|event| Variable::parse(event.data)).find(|variable| variable.name() == name);
        let length = length.map_or(Value::Null, |variable| json!(variable.contents.len()));
        assert_eq!(claimed[format!("{name}_bytes")], length, "{} {name}", vector.name());
    }
}

/// Events whose digest is of something that is not their data, counted by type and register.
fn digests_of_other_data(vector: &Vector, log: &EventLog<'_>) {
    let bank = banks(vector).into_iter().find(|bank| *bank == HashAlgorithm::Sha256).unwrap_or(HashAlgorithm::Sha1);
    let mut found = BTreeMap::<String, u64>::new();
    for event in counted(log) {
        let digest = log.digest(event, bank).unwrap_or_default();
        assert!(!describe(event, bank, digest).text.chars().any(char::is_control));
        if bank.digest(&[event.data]).as_ref() != digest {
            *found.entry(format!("{} (PCR{})", event.kind, event.pcr)).or_default() += 1;
        }
    }
    for (what, count) in vector.claim("digest_not_hash_of_event_data").as_object().unwrap() {
        assert_eq!(found.get(what).copied(), count.as_u64(), "{} {what}", vector.name());
    }
}
