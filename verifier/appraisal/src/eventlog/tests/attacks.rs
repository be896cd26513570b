use super::forge::{Entry, boot, entry, log, log_in, registers, registers_in, replay};
use crate::check::{Checks, Verdict};
use crate::claims::Claim;
use crate::eventlog::{LogError, RULES, ReplayedLog, appraise_log};
use crate::layout::Layout;
use crate::tpm::{PcrSet, PcrValues};
use podseal_protocol::{Bank, Limits};

/// Appraises `bytes` against a machine that measured `measured`: failed rules with what they found.
fn failures(bytes: &[u8], quoted: &PcrValues) -> Vec<(&'static str, String)> {
    failures_of(&replay(bytes), quoted)
}

fn failures_of(replayed: &Result<ReplayedLog, LogError>, quoted: &PcrValues) -> Vec<(&'static str, String)> {
    let mut checks = Checks::owing(&RULES);
    let log = appraise_log(replayed.as_ref(), quoted, &mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail);
    let failed = failed.map(|check| (check.rule.name, check.found.into_owned())).collect::<Vec<_>>();
    assert_eq!(log.is_some(), failed.is_empty());
    failed
}

fn refused_naming(pcr: u8, entries: &[Entry], what: &str) {
    let failed = failures(&log(entries), &registers(&boot(), 0));
    assert_eq!(failed.len(), 1, "{what}");
    assert_eq!(failed[0].0, "log.replays", "{what}");
    assert!(failed[0].1.starts_with(&format!("PCR {pcr} = ")), "{what}: {}", failed[0].1);
}

#[test]
fn honest_log_replays_and_gives_its_events() {
    let quoted = registers(&boot(), 0);
    let replayed = replay(&log(&boot())).unwrap();
    let mut checks = Checks::owing(&RULES);
    let appraised = appraise_log(Ok(&replayed), &quoted, &mut checks).unwrap();
    assert_eq!(crate::check::worst(&checks.finish()), Verdict::Pass);
    assert_eq!(appraised.verified().to_string(), "0,1,2,3,4,5,6,7,8,9,14");
    let events = appraised.events().map(|event| (event.position, event.pcr)).collect::<Vec<_>>();
    assert_eq!(events, [(1, 0), (2, 7), (3, 7), (4, 8), (5, 9)]);
    assert_eq!(appraised.secure_boot(), Claim::Appraised(true));
}

#[test]
fn log_does_not_replay() {
    let mut other = boot();
    other[3].measured = b"linux /vmlinuz init=/bin/sh".to_vec();
    refused_naming(8, &other, "another command line");
    let mut more = boot();
    more.push(entry(4, 0x8000_0003, b"an image that never ran"));
    refused_naming(4, &more, "an event too many");
    let mut swapped = boot();
    swapped.swap(1, 2);
    refused_naming(7, &swapped, "other order");
}

#[test]
fn log_truncated() {
    let whole = boot();
    for length in 0..whole.len() {
        refused_naming(u8::try_from(whole[length..].iter().map(|entry| entry.pcr).min().unwrap()).unwrap(), &whole[..length], "shorter");
    }
    let without_kernel = whole.iter().filter(|entry| entry.pcr != 8).cloned().collect::<Vec<_>>();
    refused_naming(8, &without_kernel, "a register left out as a whole");
    let bytes = log(&whole);
    let failed = failures(&bytes[..bytes.len() - 1], &registers(&whole, 0));
    assert_eq!(failed[0].0, "log.well_formed");
}

#[test]
fn log_of_other_boot() {
    let mut other = boot();
    other[0] = entry(0, 8, b"firmware 1.3");
    refused_naming(0, &other, "other firmware");
}

#[test]
fn extended_events_cannot_hide_as_messages() {
    let mut hidden = boot();
    hidden[3].kind = 3;
    refused_naming(8, &hidden, "relabelled EV_NO_ACTION");
}

#[test]
fn only_quoted_registers_are_proved() {
    let all = registers(&boot(), 0);
    let mut only_eight = PcrValues::new(Bank::Sha256);
    assert!(only_eight.insert(8, all.get(8).unwrap()));
    let replayed = replay(&log(&boot())).unwrap();
    let mut checks = Checks::owing(&RULES);
    let appraised = appraise_log(Ok(&replayed), &only_eight, &mut checks).unwrap();
    assert_eq!(appraised.verified(), PcrSet::of(&[8]).unwrap());
    assert_eq!(appraised.events().count(), 1);
    assert_eq!(appraised.secure_boot(), Claim::NotAppraised("PCR 7 is not quoted"));
}

#[test]
fn a_quote_without_boot_registers_proves_no_log() {
    let mut only_ten = PcrValues::new(Bank::Sha256);
    assert!(only_ten.insert(10, &[0; 32]));
    assert_eq!(failures(&log(&boot()), &only_ten)[0].0, "log.replays");
}

#[test]
fn startup_locality_counts_once_and_early() {
    let message = |locality| entry(0, 3, &[b"StartupLocality\0", &[locality][..]].concat());
    let with = |entries: &[Entry]| log(entries);
    let honest = [vec![message(3)], boot()].concat();
    assert_eq!(failures(&with(&honest), &registers(&boot(), 3)), []);
    assert_eq!(failures(&with(&honest), &registers(&boot(), 0))[0].0, "log.replays");
    for (what, entries) in [
        ("twice", [vec![message(3), message(3)], boot()].concat()),
        ("late", [boot(), vec![message(3)]].concat()),
        ("locality 1", [vec![message(1)], boot()].concat()),
    ] {
        assert_eq!(failures(&with(&entries), &registers(&boot(), 3))[0].0, "log.well_formed", "{what}");
    }
}

/// A TPM's registers of SHA-384, by the log's digests of that bank and by no others.
#[test]
fn registers_of_sha384() {
    let quoted = |entries: &[Entry]| registers_in(Bank::Sha384, (0..10).chain([14]), entries, 0);
    let replayed = |bank, bytes: &[u8]| ReplayedLog::replay(bytes, bank, Layout::Tpm, &Limits::DEFAULT);
    let log384 = log_in(Bank::Sha384, &boot());
    assert_eq!(failures_of(&replayed(Bank::Sha384, &log384), &quoted(&boot())), []);
    let mut other = boot();
    other[3].measured = b"linux /vmlinuz init=/bin/sh".to_vec();
    let failed = failures_of(&replayed(Bank::Sha384, &log384), &quoted(&other));
    assert_eq!(failed[0].0, "log.replays");
    assert!(failed[0].1.starts_with("PCR 8 = ") && failed[0].1.contains(", replayed from 1 events"), "{}", failed[0].1);
    // Nobody takes the log of one bank for that of another.
    assert_eq!(replayed(Bank::Sha384, &log(&boot())).unwrap_err(), LogError::NoBank { bank: "sha384" });
    assert_eq!(failures_of(&replayed(Bank::Sha384, &log384), &registers(&boot(), 0))[0].0, "log.replays");
    let kept = replayed(Bank::Sha384, &log384).unwrap();
    assert!(kept.is_of(&log384, Bank::Sha384, Layout::Tpm));
    assert!(!kept.is_of(&log384, Bank::Sha256, Layout::Tpm) && !kept.is_of(&log384, Bank::Sha384, Layout::Td));
    assert!(!kept.is_of(&log(&boot()), Bank::Sha384, Layout::Tpm));
}
