use super::mint::{Fields, PROTECTED, document, enclave, message, nitrotpm, payload, pcrs, with, without};
use crate::cose::Sign1;
use crate::cose::tests::{array, bytes, head, int, map, text};
use crate::nitro::{Document, Source};
use proptest::prelude::*;

fn parses(bytes: &[u8]) -> bool {
    Sign1::parse(bytes).is_ok_and(|message| Document::parse(&message).is_ok())
}

#[track_caller]
fn malformed(what: &str, fields: &Fields) {
    assert!(!parses(&document(fields)), "{what}");
}

#[test]
fn fields_are_read() {
    let bytes = document(&nitrotpm());
    let message = Sign1::parse(&bytes).unwrap();
    let document = Document::parse(&message).unwrap();
    assert_eq!((document.module_id(), document.source(), document.timestamp_ms()), ("i-1-enc1", Source::NitroTpm, 1_780_275_600_000));
    assert_eq!((document.public_key(), document.user_data(), document.nonce()), (None, Some(&b"data"[..]), Some(&b"nonce"[..])));
    assert_eq!(document.pcrs().map(|(index, _)| index).collect::<Vec<_>>(), [4, 7, 12]);
    assert_eq!((document.pcr(7), document.pcr(5), document.pcr(255)), (Some(&[2; 48][..]), None, None));
}

#[test]
fn field_missing_or_twice_or_unknown() {
    for name in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        malformed(name, &without(enclave(), name));
    }
    for name in ["public_key", "user_data", "nonce"] {
        assert!(parses(&document(&without(enclave(), name))), "{name}");
    }
    for field in enclave() {
        let twice = enclave().into_iter().chain([field.clone()]).collect();
        malformed(field.0, &twice);
    }
    malformed("both registers", &enclave().into_iter().chain([("nitrotpm_pcrs", pcrs(&[(0, vec![0; 48])]))]).collect());
    malformed("unknown", &enclave().into_iter().chain([("pcr", vec![0])]).collect());
}

#[test]
fn values_out_of_bounds() {
    let register = |index: i64, length: usize| pcrs(&[(index, vec![1; length])]);
    let twice = pcrs(&[(0, vec![1; 48]), (0, vec![1; 48])]);
    let by_name = map(&[(text("0"), bytes(&[1; 48]))]);
    for (name, wrong) in [
        ("module_id", vec![text(""), bytes(b"i-1"), int(1)]),
        ("digest", vec![text("SHA256"), text("sha384"), bytes(b"SHA384"), vec![0xf6]]),
        ("timestamp", vec![int(0), int(-1), text("1"), vec![0xf6], vec![0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]]),
        ("pcrs", vec![map(&[]), array(&[]), twice, by_name, register(32, 48), register(-1, 48), register(256, 48), register(0, 47)]),
        ("certificate", vec![bytes(&[]), bytes(&[1; 1025]), text("certificate"), vec![0xf6]]),
        ("cabundle", vec![array(&[]), array(&[bytes(&[])]), array(&[bytes(&[1; 1025])]), array(&[text("a")]), bytes(b"a"), vec![0xf6]]),
        ("public_key", vec![bytes(&[1; 1025]), text("key"), int(1)]),
        ("user_data", vec![bytes(&[1; 1025]), text("data"), vec![0xc1, 0x41, 0]]),
        ("nonce", vec![bytes(&[1; 1025]), text("nonce"), vec![0x5f, 0x41, 0, 0xff]]),
    ] {
        for value in wrong {
            malformed(name, &with(enclave(), name, value));
        }
    }
    for length in [32, 48, 64] {
        assert!(parses(&document(&with(enclave(), "pcrs", register(31, length)))));
    }
    for name in ["public_key", "user_data", "nonce"] {
        assert!(parses(&document(&with(enclave(), name, bytes(&[1; 1024])))));
    }
}

#[test]
fn payload_of_another_form() {
    let honest = payload(&enclave());
    let as_message = |payload: &[u8]| message(&PROTECTED, &map(&[]), payload);
    // The NSM writes maps that a break ends as well.
    let open = [&[0xbf], &honest[1..], &[0xff]].concat();
    assert!(parses(&as_message(&open)));
    assert!(!parses(&as_message(&[&honest[..], &[0]].concat())), "trailing in the payload");
    assert!(!parses(&[&as_message(&honest)[..], &[0]].concat()), "trailing");
    assert!(!parses(&as_message(&honest[..honest.len() - 1])), "cut off");
    assert!(!parses(&as_message(&[&[0xc1], &honest[..]].concat())), "tag");
    assert!(!parses(&as_message(&array(&enclave().into_iter().map(|field| field.1).collect::<Vec<_>>()))), "values without names");
    let long = with(enclave(), "cabundle", array(&vec![bytes(&[1; 1024]); 16]));
    malformed("longer than 16 KiB", &long);
    let by_number = enclave().into_iter().enumerate().map(|(n, (_, value))| (head(0, n as u64), value)).collect::<Vec<_>>();
    assert!(!parses(&as_message(&map(&by_number))), "numbers for names");
}

proptest! {
    #[test]
    fn no_bytes_panic(at in any::<prop::sample::Index>(), byte: u8, end in any::<prop::sample::Index>(), noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut mutated = payload(&enclave());
        let (at, end) = (at.index(mutated.len()), end.index(mutated.len()));
        mutated[at] = byte;
        for payload in [&mutated[..], &mutated[..end], &noise] {
            parses(&array(&[bytes(&PROTECTED), map(&[]), bytes(payload), bytes(&[0; 96])]));
        }
    }
}
