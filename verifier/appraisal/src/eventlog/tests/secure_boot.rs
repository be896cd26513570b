use super::forge::{DRIVER_CONFIG, Entry, SEPARATOR, entry, log, replay, variable};
use crate::claims::Claim;

fn state(entries: &[Entry]) -> Claim<bool> {
    replay(&log(entries)).unwrap().secure_boot()
}

fn measured(contents: &[u8]) -> Entry {
    entry(7, DRIVER_CONFIG, &variable("SecureBoot", contents))
}

#[test]
fn on_off_and_without_the_variable() {
    assert_eq!(state(&[measured(&[1])]), Claim::Appraised(true));
    assert_eq!(state(&[measured(&[0])]), Claim::Appraised(false));
    assert_eq!(state(&[measured(&[])]), Claim::Appraised(false));
    assert_eq!(state(&[measured(&[2])]), Claim::NotAppraised("the variable SecureBoot is neither 0 nor 1"));
    assert_eq!(state(&[]), Claim::NotAppraised("nothing was measured into PCR 7"));
}

#[test]
fn data_that_was_not_measured_says_nothing() {
    let mut lying = measured(&[1]);
    lying.measured = variable("SecureBoot", &[0]);
    assert_eq!(state(&[lying]), Claim::NotAppraised("the first event of PCR 7 has other data than was measured"));
}

/// Booted without Secure Boot, then extended what a machine with it would have, and relabelled the true events.
#[test]
fn second_measurement_behind_a_relabelled_first() {
    let mut first = measured(&[0]);
    first.kind = 0x8000_00e0;
    let mut separator = entry(7, SEPARATOR, &[0; 4]);
    separator.kind = 0x8000_00e0;
    let forged = [first, separator, measured(&[1]), entry(7, SEPARATOR, &[0; 4])];
    assert_eq!(state(&forged), Claim::NotAppraised("the first event of PCR 7 is not the variable SecureBoot"));
}

#[test]
fn variable_of_another_vendor_or_name() {
    let mut data = variable("SecureBoot", &[1]);
    data[0] ^= 1;
    assert_eq!(state(&[entry(7, DRIVER_CONFIG, &data)]), Claim::NotAppraised("the first event of PCR 7 is not the variable SecureBoot"));
    let other = entry(7, DRIVER_CONFIG, &variable("SecureBoot2", &[1]));
    assert_eq!(state(&[other]), Claim::NotAppraised("the first event of PCR 7 is not the variable SecureBoot"));
}
