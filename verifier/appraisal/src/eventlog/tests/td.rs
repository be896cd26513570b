//! Logs of a TD, and Secure Boot in them.

use super::forge::{DRIVER_CONFIG, Entry, IPL, SEPARATOR, entry, log_in, registers_in, replay_td, variable};
use crate::check::{Checks, Verdict};
use crate::claims::Claim;
use crate::eventlog::{RULES, appraise_log};
use crate::tpm::PcrValues;
use podseal_protocol::Bank;

const TWICE: &str = "RTMR0 has the variable SecureBoot more than once";
const NOT_THERE: &str = "RTMR0 does not have the variable SecureBoot as 0 or 1";
const BEHIND: &str = "RTMR0 has the variable SecureBoot behind the firmware's part";

fn secure_boot(contents: &[u8]) -> Entry {
    entry(1, DRIVER_CONFIG, &variable("SecureBoot", contents))
}

fn separator() -> Entry {
    entry(1, SEPARATOR, &[0; 4])
}

/// What firmware of a TD measures, the variable in this state.
fn boot(contents: &[u8]) -> Vec<Entry> {
    vec![
        entry(1, 0x8000_000b, b"what the host says of the TD"),
        entry(1, 0x8000_000a, b"the firmware's variables"),
        secure_boot(contents),
        entry(1, DRIVER_CONFIG, &variable("PK", &[7; 9])),
        separator(),
        entry(1, 0x0a, b"ACPI tables"),
        entry(2, SEPARATOR, &[0; 4]),
        entry(2, 0x8000_0003, b"shim"),
        entry(3, IPL, b"quiet"),
    ]
}

fn quoted(entries: &[Entry]) -> PcrValues {
    registers_in(Bank::Sha384, 1..5, entries, 0)
}

/// As a verifier takes it: by a log that replays to what was measured.
#[track_caller]
fn state(measured: &[Entry]) -> Claim<bool> {
    let replayed = replay_td(&log_in(Bank::Sha384, measured)).unwrap();
    appraise_log(Ok(&replayed), &quoted(measured), &mut Checks::owing(&RULES)).unwrap().secure_boot()
}

#[test]
fn log_of_a_td_replays_to_its_registers() {
    let entries = boot(&[1]);
    let replayed = replay_td(&log_in(Bank::Sha384, &entries)).unwrap();
    let appraised = appraise_log(Ok(&replayed), &quoted(&entries), &mut Checks::owing(&RULES)).unwrap();
    assert_eq!(appraised.verified().to_string(), "1,2,3");
    assert_eq!(appraised.events().count(), entries.len());
    assert_eq!(appraised.before_pod_log(), Some(&[0; 48][..]));
    for (at, name) in [(0, "MR 1 (RTMR0) = "), (7, "MR 2 (RTMR1) = "), (8, "MR 3 (RTMR2) = ")] {
        let mut other = boot(&[1]);
        other[at].measured = b"another".to_vec();
        let mut checks = Checks::owing(&RULES);
        assert!(appraise_log(Ok(&replayed), &quoted(&other), &mut checks).is_none());
        let failed = checks.finish().into_iter().find(|check| check.verdict == Verdict::Fail).unwrap();
        assert_eq!(failed.rule.name, "log.replays");
        assert!(failed.found.starts_with(name), "{}", failed.found);
    }
}

#[test]
fn on_off_and_without_the_variable() {
    assert_eq!(state(&boot(&[1])), Claim::Appraised(true));
    assert_eq!(state(&boot(&[0])), Claim::Appraised(false));
    assert_eq!(state(&boot(&[])), Claim::Appraised(false));
    assert_eq!(state(&boot(&[2])), Claim::NotAppraised(NOT_THERE));
    let mut other = boot(&[1]);
    other[2] = entry(1, DRIVER_CONFIG, &variable("SecureBoot2", &[1]));
    assert_eq!(state(&other), Claim::NotAppraised(NOT_THERE));
    other[2] = secure_boot(&[1]);
    other[2].pcr = 2;
    assert_eq!(state(&other), Claim::NotAppraised(NOT_THERE), "in another register");
    let all = boot(&[1]);
    let entries = all.iter().filter(|entry| entry.kind != SEPARATOR).cloned().collect::<Vec<_>>();
    assert_eq!(state(&entries), Claim::NotAppraised("RTMR0 has no separator that ends the firmware's part"));
    let replayed = replay_td(&log_in(Bank::Sha384, &all)).unwrap();
    let only = registers_in(Bank::Sha384, 2..4, &all, 0);
    let appraised = appraise_log(Ok(&replayed), &only, &mut Checks::owing(&RULES)).unwrap();
    assert_eq!(appraised.secure_boot(), Claim::NotAppraised("RTMR0 is not quoted"));
}

/// Booted without Secure Boot; then what a firmware with it measures was extended, and the true events are told to be something else.
#[test]
fn second_measurement_behind_a_hidden_first() {
    let mut forged = boot(&[0]);
    forged.extend([secure_boot(&[1]), separator()]);
    assert_eq!(state(&forged), Claim::NotAppraised(TWICE), "as it was");
    for hidden in [2, 4] {
        forged[hidden].data = b"nothing to see".to_vec();
        forged[hidden].kind = 0x0a;
    }
    assert_eq!(state(&forged), Claim::NotAppraised(TWICE), "told otherwise");
}

/// The host chooses bytes that firmware measures before the variable, or after the separator.
#[test]
fn table_of_the_host_with_just_these_bytes() {
    let bytes = variable("SecureBoot", &[1]);
    for at in [0, 1, 5] {
        let mut forged = boot(&[0]);
        forged[at] = entry(1, 0x0a, &bytes);
        assert_eq!(state(&forged), Claim::NotAppraised(TWICE), "in place of event {at}");
    }
    // With a separator of its own, before the firmware measures the variable.
    let mut forged = boot(&[0]);
    forged.splice(0..1, [entry(1, 0x0a, &bytes), entry(1, 0x0a, &[0; 4])]);
    assert_eq!(state(&forged), Claim::NotAppraised(TWICE));
    forged.remove(0);
    assert_eq!(state(&forged), Claim::NotAppraised(BEHIND));
}

/// A firmware without Secure Boot measures no such variable; whoever it booted extends one.
#[test]
fn variable_that_was_extended_after_the_firmware() {
    let mut forged = boot(&[0]);
    forged.remove(2);
    forged.push(secure_boot(&[1]));
    assert_eq!(state(&forged), Claim::NotAppraised(BEHIND));
}

/// Type and data say nothing here: the digest does.
#[test]
fn true_measurement_told_otherwise() {
    let mut told = boot(&[1]);
    told[2].kind = IPL;
    told[2].data = variable("SecureBoot", &[0]);
    assert_eq!(state(&told), Claim::Appraised(true));
    let mut lying = boot(&[1]);
    lying[2].measured = variable("SecureBoot", &[0]);
    assert_eq!(state(&lying), Claim::Appraised(false));
}
