use super::appraise;
use super::forge::{ak, attest, keys, quote, quote_info, sign, values};
use crate::check::{Checks, Verdict};
use crate::tpm::quote::{QuoteEvidence, QuoteFacts, RULES, appraise_quote};
use crate::tpm::{PcrSet, PcrValues};
use podseal_protocol::Bank;

const MAGIC: u32 = 0xff54_4347;
const QUOTE: u16 = 0x8018;
const BINDING: [u8; 32] = [0x5a; 32];

fn golden() -> PcrValues {
    values(&[(0, [1; 32]), (7, [2; 32])])
}

fn wanted() -> PcrSet {
    PcrSet::of(&[0, 7]).unwrap()
}

fn run(attest: &[u8], values: &PcrValues) -> (Option<QuoteFacts>, Vec<&'static str>) {
    run_signed(attest, &sign(&keys()[0], attest), values)
}

fn run_signed(attest: &[u8], signature: &[u8], values: &PcrValues) -> (Option<QuoteFacts>, Vec<&'static str>) {
    let evidence = QuoteEvidence { attest, signature, values };
    appraise(&RULES, |checks| appraise_quote(&ak(), &evidence, &BINDING, wanted(), checks))
}

fn refused_at(rule: &str, what: &str, outcome: (Option<QuoteFacts>, Vec<&'static str>)) {
    assert_eq!(outcome.1, [rule], "{what}");
    assert!(outcome.0.is_none(), "{what}");
}

#[test]
fn honest_quote_gives_its_facts() {
    let (facts, failed) = run(&quote(&golden(), &BINDING), &golden());
    assert_eq!(failed, [""; 0]);
    let facts = facts.unwrap();
    assert_eq!((facts.clock(), facts.reset_count(), facts.restart_count(), facts.safe()), (7_000, 3, 1, true));
    assert_eq!(facts.firmware_version(), 0x2019_1023_0016_3636);
    assert_eq!(facts.pcrs(), &golden());
}

#[test]
fn ak_self_made() {
    let attest = quote(&golden(), &BINDING);
    refused_at("quote.signature", "other key", run_signed(&attest, &sign(&keys()[1], &attest), &golden()));
}

#[test]
fn one_flipped_bit_of_signature_or_attest() {
    let attest = quote(&golden(), &BINDING);
    let signature = sign(&keys()[0], &attest);
    for position in 0..attest.len() {
        let mut flipped = attest.clone();
        flipped[position] ^= 1;
        refused_at("quote.signature", "attest", run_signed(&flipped, &signature, &golden()));
    }
    for position in 0..signature.len() {
        let mut flipped = signature.clone();
        flipped[position] ^= 0x10;
        refused_at("quote.signature", "signature", run_signed(&attest, &flipped, &golden()));
    }
    refused_at("quote.signature", "trailing byte", run_signed(&attest, &[&signature[..], &[0]].concat(), &golden()));
}

#[test]
fn nothing_is_read_from_what_is_not_signed() {
    let attest = quote(&golden(), &BINDING);
    let evidence = QuoteEvidence { attest: &attest, signature: &[], values: &golden() };
    let mut checks = Checks::owing(&RULES);
    assert!(appraise_quote(&ak(), &evidence, &BINDING, wanted(), &mut checks).is_none());
    let verdicts = checks.finish().iter().map(|check| check.verdict).collect::<Vec<_>>();
    assert_eq!(verdicts, [&[Verdict::Fail][..], &[Verdict::NotAppraised; 5]].concat());
}

#[test]
fn signed_bytes_that_are_no_quote() {
    let info = quote_info(&[(0x0b, 0x81)], &[[1; 32], [2; 32]]);
    for (what, attest) in [
        ("magic", attest(0xff54_4348, QUOTE, &BINDING, &info)),
        ("creation", attest(MAGIC, 0x801a, &BINDING, &[0, 1, 7, 0, 1, 7])),
        ("certification", attest(MAGIC, 0x8017, &BINDING, &[0, 1, 7, 0, 1, 7])),
        ("trailing", [attest(MAGIC, QUOTE, &BINDING, &info), vec![0]].concat()),
        ("cut off", attest(MAGIC, QUOTE, &BINDING, &info[..20])),
        ("selections without end", attest(MAGIC, QUOTE, &BINDING, &[0xff; 8])),
    ] {
        refused_at("quote.magic_and_type", what, run(&attest, &golden()));
    }
}

#[test]
fn quote_over_another_binding() {
    for (what, data) in [("other", &[0x5b; 32][..]), ("none", &[]), ("longer", &[0x5a; 33]), ("shorter", &[0x5a; 31])] {
        refused_at("quote.qualifying_data", what, run(&quote(&golden(), data), &golden()));
    }
}

/// The registers 12 and 13 hold golden values of 0 and 7: the digest is the golden one, only the selection tells.
#[test]
fn pcr_unselected() {
    let info = quote_info(&[(0x0b, 0x3000)], &[[1; 32], [2; 32]]);
    refused_at("quote.selection", "12 and 13", run(&attest(MAGIC, QUOTE, &BINDING, &info), &golden()));
}

#[test]
fn pcr_bank_other() {
    for bank in [0x04, 0x0c, 0x27] {
        let info = quote_info(&[(bank, 0x81)], &[[1; 32], [2; 32]]);
        refused_at("quote.selection", "bank", run(&attest(MAGIC, QUOTE, &BINDING, &info), &golden()));
    }
}

#[test]
fn selection_twice() {
    for selections in [&[(0x0b, 0x81), (0x0b, 0x81)][..], &[(0x0b, 1), (0x0b, 0x80)], &[(0x0b, 0x81), (0x04, 0)], &[]] {
        let info = quote_info(selections, &[[1; 32], [2; 32]]);
        refused_at("quote.selection", "twice", run(&attest(MAGIC, QUOTE, &BINDING, &info), &golden()));
    }
}

#[test]
fn value_of_an_unquoted_register() {
    let more = values(&[(0, [1; 32]), (7, [2; 32]), (9, [3; 32])]);
    refused_at("quote.values", "one more", run(&quote(&golden(), &BINDING), &more));
    let info = quote_info(&[(0x0b, 0x81)], &[[1; 32]]);
    refused_at("quote.values", "one less", run(&attest(MAGIC, QUOTE, &BINDING, &info), &values(&[(0, [1; 32])])));
}

/// Values that hash to what was signed, and are not of the bank that was selected.
#[test]
fn values_of_another_bank() {
    let mut longer = PcrValues::new(Bank::Sha384);
    assert!(longer.insert(0, &[1; 48]) && longer.insert(7, &[2; 48]));
    let info = quote_info(&[(0x0b, 0x81)], &[[1; 48], [2; 48]]);
    refused_at("quote.values", "48 bytes each", run(&attest(MAGIC, QUOTE, &BINDING, &info), &longer));
}

#[test]
fn values_other_than_quoted() {
    let other = values(&[(0, [1; 32]), (7, [3; 32])]);
    refused_at("quote.pcr_digest", "value", run(&quote(&golden(), &BINDING), &other));
    let swapped = values(&[(0, [2; 32]), (7, [1; 32])]);
    refused_at("quote.pcr_digest", "order", run(&quote(&golden(), &BINDING), &swapped));
}
