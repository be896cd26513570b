//! CBOR by hand, for what messages are minted from, and what is taken of it.
#![allow(clippy::unwrap_used)]

use super::cbor::{CborError, Form, well_formed};
use super::{CoseError, LONGEST, Sign1};
use proptest::prelude::*;

/// The head of an item in its shortest form.
pub(crate) fn head(major: u8, argument: u64) -> Vec<u8> {
    let first = major << 5;
    let be = argument.to_be_bytes();
    match argument {
        0..=23 => vec![first | be[7]],
        24..=0xff => vec![first | 24, be[7]],
        0x100..=0xffff => [&[first | 25], &be[6..]].concat(),
        0x1_0000..=0xffff_ffff => [&[first | 26], &be[4..]].concat(),
        _ => [&[first | 27], &be[..]].concat(),
    }
}

pub(crate) fn bytes(of: &[u8]) -> Vec<u8> {
    [head(2, of.len() as u64), of.to_vec()].concat()
}

pub(crate) fn text(of: &str) -> Vec<u8> {
    [head(3, of.len() as u64), of.as_bytes().to_vec()].concat()
}

pub(crate) fn int(number: i64) -> Vec<u8> {
    if number < 0 { head(1, number.unsigned_abs() - 1) } else { head(0, number.unsigned_abs()) }
}

pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

pub(crate) fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let items = pairs.iter().flat_map(|(key, value)| [key.as_slice(), value.as_slice()]).collect::<Vec<_>>().concat();
    [head(5, pairs.len() as u64), items].concat()
}

/// What a signature of a `COSE_Sign1` is over (RFC 9052, 4.4).
pub(crate) fn signed_bytes(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    array(&[text("Signature1"), bytes(protected), bytes(&[]), bytes(payload)])
}

const PLAIN: Form = Form { tags: false, breaks: false };
const OPEN: Form = Form { tags: true, breaks: true };

#[test]
fn one_item_to_the_last_byte() {
    let items: [&[u8]; 9] = [
        &[0x00],
        &[0x1b, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0x80],
        &[0xa0],
        &[0xa1, 0x01, 0x38, 0x22],
        &[0x82, 0x82, 0x01, 0x40, 0xf6],
        &[0x61, b'a'],
        &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xa1, 0x60, 0xa1, 0x01, 0x81, 0xa0],
    ];
    for item in items {
        assert_eq!(well_formed(item, PLAIN), Ok(()), "{item:02x?}");
        let longer = [item, &[0]].concat();
        assert_eq!(well_formed(&longer, PLAIN), Err(CborError::Trailing { found: 1 }), "{item:02x?}");
        let shorter = item.split_last().unwrap().1;
        assert!(matches!(well_formed(shorter, PLAIN), Err(CborError::End { .. })), "{item:02x?}");
    }
}

#[test]
fn forms_that_are_not_taken() {
    for (item, error) in [
        (&[0x9f, 0xff][..], CborError::Indefinite { at: 0 }),
        (&[0xbf, 0xff], CborError::Indefinite { at: 0 }),
        (&[0x5f, 0xff], CborError::Indefinite { at: 0 }),
        (&[0x81, 0x7f, 0xff], CborError::Indefinite { at: 1 }),
        (&[0x1c], CborError::Reserved { at: 0 }),
        (&[0x1f], CborError::Reserved { at: 0 }),
        (&[0xff], CborError::Reserved { at: 0 }),
        (&[0xf8, 0x1f], CborError::Reserved { at: 0 }),
        (&[0xf8, 0x20], CborError::Reserved { at: 0 }),
        (&[0xe0], CborError::Reserved { at: 0 }),
        (&[0x61, 0xff], CborError::Text { at: 0 }),
        (&[0xc1, 0x00], CborError::Tag { at: 0 }),
        (&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], CborError::End { at: 0 }),
        (&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], CborError::End { at: 0 }),
        (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], CborError::End { at: 9 }),
        (&[0x81; 40], CborError::TooDeep { at: 16 }),
    ] {
        assert_eq!(well_formed(item, PLAIN), Err(error), "{item:02x?}");
    }
    let of = |count: usize| array(&vec![int(0); count]);
    assert_eq!(well_formed(&of(4095), PLAIN), Ok(()));
    assert_eq!(well_formed(&of(4096), PLAIN), Err(CborError::TooMany { at: 4098 }));
}

#[test]
fn breaks_end_what_said_no_length_and_nothing_else() {
    for item in [&[0x9f, 0xff][..], &[0xbf, 0x01, 0x02, 0xff], &[0x82, 0x9f, 0x01, 0xff, 0xc1, 0x00], &[0xbf, 0x01, 0xbf, 0xff, 0xff]] {
        assert_eq!(well_formed(item, OPEN), Ok(()), "{item:02x?}");
    }
    for item in [&[0xff][..], &[0x81, 0xff], &[0xbf, 0x01, 0xff], &[0xa1, 0x01, 0xff], &[0xc1, 0xff]] {
        assert!(matches!(well_formed(item, OPEN), Err(CborError::Reserved { .. })), "{item:02x?}");
    }
    assert_eq!(well_formed(&[0x5f, 0x40, 0xff], OPEN), Err(CborError::Indefinite { at: 0 }));
    assert_eq!(well_formed(&[0x9f, 0x01], OPEN), Err(CborError::End { at: 2 }));
}

#[test]
fn messages_of_another_shape() {
    let honest = |last: Vec<u8>| array(&[bytes(&[0xa1, 0x01, 0x26]), map(&[]), bytes(b"payload"), last]);
    let signed = honest(bytes(&[1; 64]));
    let message = Sign1::parse(&signed).unwrap();
    assert_eq!((message.payload(), message.protected_bytes()), (&b"payload"[..], &[0xa1, 0x01, 0x26][..]));
    assert_eq!(message.signed_bytes(), signed_bytes(&[0xa1, 0x01, 0x26], b"payload"));
    assert_eq!(Sign1::parse(&[&[0xd2], &signed[..]].concat()).unwrap(), message);
    for wrong in [
        [&signed[..], &[0]].concat(),
        [&[0xd1], &signed[..]].concat(),
        [&[0xd2, 0xd2], &signed[..]].concat(),
        honest(text("signature")),
        array(&[bytes(&[]), map(&[]), bytes(b"payload")]),
        array(&[bytes(&[]), map(&[]), vec![0xf6], bytes(&[1; 64])]),
        array(&[bytes(&[0xa1, 0x01, 0x26, 0x00]), map(&[]), bytes(b"payload"), bytes(&[1; 64])]),
        array(&[bytes(&[0xa2, 0x01, 0x26, 0x01, 0x26]), map(&[]), bytes(b"payload"), bytes(&[1; 64])]),
        array(&[bytes(&[]), map(&[(int(4), bytes(b"a")), (int(4), bytes(b"b"))]), bytes(b"payload"), bytes(&[1; 64])]),
    ] {
        assert!(Sign1::parse(&wrong).is_err(), "{wrong:02x?}");
    }
    let long = honest(bytes(&vec![0; LONGEST]));
    assert!(matches!(Sign1::parse(&long), Err(CoseError::TooLong { .. })));
}

proptest! {
    /// What this takes, an unrelated decoder takes as well, and to the same end.
    #[test]
    fn well_formed_is_decodable(item in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut rest = item.as_slice();
        let skipped = serde_cbor::from_slice::<serde::de::IgnoredAny>(&item);
        if well_formed(&item, OPEN).is_ok() {
            prop_assert!(skipped.is_ok(), "{:02x?}", item);
            prop_assert!(coset::cbor::de::from_reader::<coset::cbor::value::Value, _>(&mut rest).is_ok() && rest.is_empty());
        }
        let _ = Sign1::parse(&item);
    }
}
