//! Records of the pod log: one encoding, read to the letter.

use podseal_protocol::{
    Digest, Limits,
    binding::PodLogHead,
    cbor::Problem,
    pod_log::{Event, REGISTER, Record, Records, Started, extended, is_content},
};
use proptest::prelude::*;

const LIMITS: Limits = Limits::DEFAULT;

fn started() -> Started {
    Started {
        container_id: "c1".into(),
        sandbox: false,
        pod_uid: "uid-1".into(),
        namespace: "payments".into(),
        pod: "payment-api-0".into(),
        container: "payment-api".into(),
        image: "registry.example/payment-api@sha256:aa".into(),
        privileged: false,
        heard: true,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn events() -> Vec<Event> {
    vec![
        Event::Began { boot_id: "5d1f0c2e".into(), register: Digest([0; 32]), exceptions: names(&["landlock", "seccomp"]) },
        Event::AttesterRestarted { exceptions: names(&["privileged-network"]) },
        Event::Interrupted,
        Event::Started(started()),
        Event::Exec { container_id: "c1".into(), exec_id: "e1".into() },
        Event::Ended { container_id: "c1".into() },
    ]
}

fn log(from: u64) -> Vec<u8> {
    (from..).zip(events()).flat_map(|(number, event)| Record { number, event }.encode()).collect()
}

#[test]
fn records_are_read_as_they_were_written() {
    let bytes = log(7);
    let read: Vec<_> = Records::new(&bytes, 7, &LIMITS).collect::<Result<_, _>>().unwrap();
    assert_eq!(read.iter().map(|(record, _)| record.event.clone()).collect::<Vec<_>>(), events());
    assert_eq!(read.iter().map(|(record, _)| record.number).collect::<Vec<_>>(), (7..13).collect::<Vec<_>>());
    assert!(read.iter().all(|(record, digest)| record.digest() == *digest));
}

#[test]
fn a_record_has_the_layout_of_the_specification() {
    let bytes = Record { number: 0, event: Event::AttesterRestarted { exceptions: names(&["seccomp"]) } }.encode();
    let cbor = [&[0x82, 0x74][..], b"podseal.pod-event.v1", &[0x82, 0x02, 0x81, 0x67], b"seccomp"].concat();
    let content = [&[0x51, 0, 0, 0, 33][..], &cbor].concat();
    let digest = Digest::of(&content);
    let expected = [
        &[0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[1, 0, 0, 0, 1, REGISTER],
        &[3, 0, 0, 0, 37, 0x0b, 0, 0, 0, 32],
        digest.as_ref(),
        &content,
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn exceptions_are_names_in_one_order() {
    let read = |exceptions: Vec<String>| {
        let restarted = Record { number: 0, event: Event::AttesterRestarted { exceptions: exceptions.clone() } };
        let began = Record { number: 0, event: Event::Began { boot_id: "b".into(), register: Digest([0; 32]), exceptions } };
        let [restarted, began] = [restarted, began].map(|record| {
            let read = Records::new(&record.encode(), 0, &LIMITS).next().unwrap();
            read.map(|(found, _)| assert_eq!(found, record)).map_err(|m| (m.item, m.problem))
        });
        assert_eq!(restarted, began);
        began
    };
    let refused = |problem| Err(("pod_event.exception", problem));
    let listed = |problem| Err(("pod_event.exceptions", problem));
    for right in [&[][..], &["-"], &["a", "a-", "aa", "b"], &["landlock", "landlock-net", "privileged-network", "seccomp"]] {
        assert_eq!(read(names(right)), Ok(()), "{right:?}");
    }
    for wrong in ["", "Seccomp", "sec comp", "seccomp2", "land_lock", "a,b", "é", "a\0"] {
        assert_eq!(read(names(&[wrong])), refused(Problem::WrongValue), "{wrong:?}");
    }
    for wrong in [["seccomp", "landlock"], ["seccomp", "seccomp"]] {
        assert_eq!(read(names(&wrong)), listed(Problem::NotSorted), "{wrong:?}");
    }
    assert_eq!(read(vec!["a".repeat(64)]), Ok(()));
    assert_eq!(read(vec!["a".repeat(65)]), refused(Problem::TooLong));
    let letters = |count: u8, length: usize| (b'a'..b'a' + count).map(|letter| char::from(letter).to_string().repeat(length)).collect();
    assert_eq!(read(letters(16, 1)), Ok(()));
    assert_eq!(read(letters(17, 1)), listed(Problem::TooLong));
    // Together they are one word of a receipt.
    assert_eq!(read(letters(9, 56)), Ok(()), "512 bytes with a comma between");
    assert_eq!(read(letters(9, 57)), listed(Problem::TooLong));
}

#[test]
fn content_is_told_from_other_bytes() {
    for event in events() {
        let bytes = Record { number: 0, event }.encode();
        // Behind number, register and digests.
        assert!(is_content(&bytes[13 + 6 + 42..]));
        assert!(!is_content(&bytes));
    }
    assert!(!is_content(b"Quiet=1 quiet=1 quiet=1 quiet=1") && !is_content(&[0x51]) && !is_content(b""));
}

#[test]
fn the_head_is_the_register() {
    let first = Record { number: 0, event: events().remove(0) }.digest();
    let head = PodLogHead::NONE.and(&first);
    assert_eq!((head.length, head.head), (1, extended(&Digest([0; 32]), &first)));
    assert_eq!(head.head, Digest::of(&[&[0; 32][..], first.as_ref()].concat()));
}

#[test]
fn another_number_is_refused() {
    let bytes = log(7);
    let error = Records::new(&bytes, 8, &LIMITS).next().unwrap().unwrap_err();
    assert_eq!((error.item, error.problem), ("pod_log.number", Problem::WrongValue));
    // One that was taken out.
    let first = Record { number: 7, event: events().remove(0) }.encode().len();
    assert!(Records::new(&bytes[first..], 7, &LIMITS).next().unwrap().is_err());
}

#[test]
fn every_byte_counts() {
    let bytes = log(0);
    for at in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= bit;
            assert!(Records::new(&altered, 0, &LIMITS).any(|record| record.is_err()), "byte {at}");
        }
    }
    for length in 1..bytes.len() {
        let read: Result<Vec<_>, _> = Records::new(&bytes[..length], 0, &LIMITS).collect();
        // Whole records are a shorter log; what is more is refused.
        assert!(read.map_or(true, |records| records.iter().map(|(record, _)| record.encode().len()).sum::<usize>() == length));
    }
}

#[test]
fn an_error_ends_the_reading() {
    let mut bytes = log(0);
    bytes[0] = 9;
    assert_eq!(Records::new(&bytes, 0, &LIMITS).count(), 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512), from: u64) {
        let _ = Records::new(&bytes, from, &LIMITS).count();
    }
}
