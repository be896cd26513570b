//! `reference capture`: from a boot log to a set that can be applied.

use std::{fs, io::Write as _, path::PathBuf};

use podseal_appraisal::{eventlog::EventLog, layout::Layout, reference::Reference, tpm::PcrSet};
use podseal_protocol::{Bank, Limits};

use crate::program::{Ran, podseal};

/// A log in the crypto-agile format (TCG PC Client PFP 1.06, 10.2): a header, then what is measured into which register.
fn log(events: &[(u32, &[u8])]) -> Vec<u8> {
    log_in(Bank::Sha256, events)
}

fn log_in(bank: Bank, events: &[(u32, &[u8])]) -> Vec<u8> {
    let [low, high] = bank.algorithm().to_le_bytes();
    let mut data = b"Spec ID Event03\0".to_vec();
    data.extend([0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, low, high, u8::try_from(bank.size()).unwrap(), 0, 0]);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut log = [&0_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), &[0; 20], &length(&data), &data].concat();
    for (pcr, text) in events {
        log.extend([*pcr, 0x0d, 1].into_iter().flat_map(u32::to_le_bytes));
        log.extend([low, high]);
        log.extend(bank.digest(text).as_ref());
        log.extend(length(text));
        log.extend(*text);
    }
    log
}

fn capture(log: &[u8], more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("boot.log");
    fs::write(&path, log).unwrap();
    let arguments = ["reference", "capture", "--event-log", path.to_str().unwrap(), "--name", "azure-2404"];
    podseal(&[arguments.as_slice(), &["--expires", "2027-03-31T00:00:00Z"], more].concat())
}

#[test]
fn log_becomes_a_set_with_its_events_in_order() {
    let log = log(&[(0, b"firmware 1.2"), (4, b"loader"), (8, b"linux /vmlinuz"), (11, b"later")]);
    let text = capture(&log, &[]).exits(0).out;
    let set = Reference::parse(&text).unwrap();
    assert_eq!((set.name(), set.expires()), ("azure-2404", 1_806_451_200));
    assert_eq!(set.registers(), PcrSet::of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap());
    let positions: Vec<_> = ["firmware 1.2", "loader", "linux /vmlinuz"].iter().map(|part| text.find(part).unwrap()).collect();
    assert!(positions.is_sorted());
    assert!(!text.contains("later"));

    let some = capture(&log, &["--pcrs", "0-3,8"]).exits(0).out;
    assert_eq!(Reference::parse(&some).unwrap().registers(), PcrSet::of(&[0, 1, 2, 3, 8]).unwrap());
}

#[test]
fn log_of_another_bank_or_of_a_td() {
    let log = log_in(Bank::Sha384, &[(1, b"SecureBoot"), (2, b"loader"), (3, b"quiet"), (4, b"later")]);
    let set = |more: &[&str]| {
        let set = Reference::parse(&capture(&log, more).exits(0).out).unwrap();
        (set.bank(), set.layout(), set.registers().to_string())
    };
    assert_eq!(set(&["--bank", "sha384"]), (Bank::Sha384, Layout::Tpm, "0,1,2,3,4,5,6,7,8,9".to_owned()));
    assert_eq!(set(&["--bank", "sha384", "--layout", "td"]), (Bank::Sha384, Layout::Td, "1,2,3".to_owned()));
    capture(&log, &[]).exits(2).says(&["sha256"]);
    capture(&log, &["--bank", "sha384", "--layout", "td", "--pcrs", "1-4"]).exits(2).says(&["PCR 4", "1 to 3"]);
    capture(&log, &["--bank", "sha1"]).exits(2).says(&["--bank", "sha256 or sha384"]);
    capture(&log, &["--layout", "tdx"]).exits(2).says(&["--layout", "tpm or td"]);
}

#[test]
fn set_is_written_to_a_file_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("set.toml");
    let write = ["-o", file.to_str().unwrap()];
    capture(&log(&[(0, b"firmware 1.2")]), &write).exits(0);
    let written = fs::read_to_string(&file).unwrap();
    assert!(Reference::parse(&written).is_ok());
    capture(b"not a log", &write).exits(2).says(&["boot.log"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn register_that_goes_on_growing_is_refused() {
    capture(&log(&[(0, b"firmware 1.2")]), &["--pcrs", "0-10"]).exits(2).says(&["PCR 10", "0 to 9 and 14"]);
    capture(&log(&[(0, b"firmware 1.2")]), &["--pcrs", "0-99"]).exits(2).says(&["--pcrs"]);
}

#[test]
fn log_that_measures_nothing_is_refused() {
    capture(&log(&[]), &[]).exits(2).says(&["no event", "PCR 0,1,2,3,4,5,6,7,8,9"]);
    capture(&log(&[(0, b"firmware 1.2")]), &["--pcrs", "8"]).exits(2).says(&["no event", "PCR 8"]);
}

/// Real logs: each that has SHA-256 digests gives a set, each that is none is refused.
#[test]
fn tcg_eventlog_vectors() {
    let folder = std::env::var_os("PODSEAL_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")), PathBuf::from);
    let Ok(entries) = fs::read_dir(folder.join("tcg-eventlog")) else {
        let reason = format!("no vectors at {}; PODSEAL_VECTORS names another place", folder.display());
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        // Not println: a skip shows also where the harness captures output.
        let mut terminal = std::io::stderr();
        writeln!(terminal, "SKIPPED tcg-eventlog: {reason}").unwrap();
        return;
    };
    let (mut taken, mut refused) = (0, 0);
    for entry in entries {
        let path = entry.unwrap().path();
        let Ok(bytes) = fs::read(path.join("eventlog.bin")) else { continue };
        let sha256 = EventLog::parse(&bytes, &Limits::DEFAULT).is_ok_and(|log| log.algorithms().any(|id| id == 0x0b));
        let ran = capture(&bytes, &[]);
        if sha256 {
            assert!(Reference::parse(&ran.exits(0).out).is_ok(), "{}", path.display());
            taken += 1;
        } else {
            ran.exits(2).says(&["boot.log: "]);
            refused += 1;
        }
    }
    assert!(taken > 5 && refused > 2, "{taken} taken, {refused} refused");
}
