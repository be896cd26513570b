//! Records of the pod log: one encoding, read to the letter.

use podseal_protocol::{
    Bank, BankDigest, Digest, Limits,
    binding::PodLogHead,
    cbor::Problem,
    pod_log::{Event, REGISTER, Record, Records, Register, Standing, Started, extended, is_content},
};
use proptest::prelude::*;

const LIMITS: Limits = Limits::DEFAULT;
const TPM: Register = Register::TPM;
const REGISTERS: [Register; 3] = [TPM, Register::Pcr(Bank::Sha384), Register::Rtmr];

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
    events_of(Bank::Sha256)
}

fn events_of(bank: Bank) -> Vec<Event> {
    vec![
        Event::Began { boot_id: "5d1f0c2e".into(), register: bank.zero(), exceptions: names(&["landlock", "seccomp"]) },
        Event::AttesterRestarted { exceptions: names(&["privileged-network"]) },
        Event::Interrupted,
        Event::Started(started()),
        Event::Exec { container_id: "c1".into(), exec_id: "e1".into() },
        Event::Ended { container_id: "c1".into() },
    ]
}

fn log(from: u64) -> Vec<u8> {
    log_in(TPM, from)
}

fn log_in(register: Register, from: u64) -> Vec<u8> {
    (from..).zip(events_of(register.bank())).flat_map(|(number, event)| Record { number, event }.encode(register)).collect()
}

#[test]
fn records_are_read_as_they_were_written() {
    for register in REGISTERS {
        let bytes = log_in(register, 7);
        let read: Vec<_> = Records::new(&bytes, 7, register, &LIMITS).collect::<Result<_, _>>().unwrap();
        assert_eq!(read.iter().map(|(record, _)| record.event.clone()).collect::<Vec<_>>(), events_of(register.bank()));
        assert_eq!(read.iter().map(|(record, _)| record.number).collect::<Vec<_>>(), (7..13).collect::<Vec<_>>());
        assert!(read.iter().all(|(record, digests)| record.digests(register.bank()) == *digests && record.digest() == digests.chain));
    }
}

#[test]
fn records_are_of_one_register() {
    for written in REGISTERS {
        for read in REGISTERS.into_iter().filter(|read| *read != written) {
            assert!(Records::new(&log_in(written, 0), 0, read, &LIMITS).next().unwrap().is_err(), "{written} read as {read}");
        }
    }
    let began = |bank: Bank, register| Record { number: 0, event: events_of(bank).remove(0) }.encode(register);
    let problem = |bytes: &[u8], register| Records::new(bytes, 0, register, &LIMITS).next().unwrap().map_err(|m| (m.item, m.problem));
    let refused = |problem| Err(("pod_event.register", problem));
    assert_eq!(problem(&began(Bank::Sha384, TPM), TPM), refused(Problem::TooLong));
    assert_eq!(problem(&began(Bank::Sha256, Register::Rtmr), Register::Rtmr), refused(Problem::WrongLength));
}

#[test]
fn a_record_has_the_layout_of_the_specification() {
    let bytes = Record { number: 0, event: Event::AttesterRestarted { exceptions: names(&["seccomp"]) } }.encode(TPM);
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
fn a_record_of_a_td_differs_in_register_and_digest_alone() {
    let record = Record { number: 0, event: Event::AttesterRestarted { exceptions: names(&["seccomp"]) } };
    let (tpm, td) = (record.encode(TPM), record.encode(Register::Rtmr));
    let content = &tpm[13 + 6 + 42..];
    let BankDigest::Sha384(digest) = Bank::Sha384.digest(content) else { unreachable!() };
    let expected = [&tpm[..13], &[1, 0, 0, 0, 1, 4], &[3, 0, 0, 0, 53, 0x0c, 0, 0, 0, 48], &digest, content];
    assert_eq!(td, expected.concat());
}

#[test]
fn exceptions_are_names_in_one_order() {
    let read = |exceptions: Vec<String>| {
        let restarted = Record { number: 0, event: Event::AttesterRestarted { exceptions: exceptions.clone() } };
        let began = Record { number: 0, event: Event::Began { boot_id: "b".into(), register: Bank::Sha256.zero(), exceptions } };
        let [restarted, began] = [restarted, began].map(|record| {
            let read = Records::new(&record.encode(TPM), 0, TPM, &LIMITS).next().unwrap();
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
        let bytes = Record { number: 0, event }.encode(TPM);
        // Behind number, register and digests.
        assert!(is_content(&bytes[13 + 6 + 42..]));
        assert!(!is_content(&bytes));
    }
    assert!(!is_content(b"Quiet=1 quiet=1 quiet=1 quiet=1") && !is_content(&[0x51]) && !is_content(b""));
}

#[test]
fn the_head_is_the_register() {
    let first = Record { number: 0, event: events().remove(0) };
    let standing = Standing::begin(Bank::Sha256.zero()).and(&first.digests(Bank::Sha256));
    let head = PodLogHead::NONE.and(&first.digest());
    assert_eq!((head.length, head.head), (1, extended(&Digest([0; 32]), &first.digest())));
    assert_eq!(head.head, Digest::of(&[&[0; 32][..], first.digest().as_ref()].concat()));
    assert_eq!((standing.head(), standing.register()), (head, head.head.into()));
    let prior = BankDigest::from(Digest::of(b"prior"));
    assert_eq!(Standing::begin(prior).head().head, Digest::of(b"prior"), "the chain begins on what the register held");
}

#[test]
fn beside_a_register_of_sha384_the_chain_starts_at_zero() {
    let prior = Bank::Sha384.digest(b"prior");
    let began = Event::Began { boot_id: "b".into(), register: prior, exceptions: Vec::new() };
    let record = Record { number: 0, event: began };
    let standing = Standing::begin(prior).and(&record.digests(Bank::Sha384));
    assert_eq!(standing.head(), PodLogHead::NONE.and(&record.digest()));
    let content = &record.encode(Register::Rtmr)[13 + 6 + 58..];
    assert_eq!(Digest::of(content), record.digest());
    let extended = Bank::Sha384.digest(content);
    assert_eq!(standing.register(), Bank::Sha384.digest(&[prior.as_ref(), extended.as_ref()].concat()));
    // One is not made of the other.
    assert!(Standing::of(standing.head(), standing.register()).is_some());
    assert!(Standing::of(standing.head(), Digest::of(b"another").into()).is_none());
}

#[test]
fn values_are_as_long_as_their_bank() {
    for bank in Bank::ALL {
        let value = bank.digest(b"value");
        assert_eq!((value.bank(), value.as_ref().len(), Bank::from_name(bank.name())), (bank, bank.size(), Some(bank)));
        assert_eq!(BankDigest::from_bytes(bank, value.as_ref()), Some(value));
        assert_eq!(BankDigest::from_bytes(bank, &value.as_ref()[1..]), None);
        let text = value.to_string();
        for right in [text.clone(), text.to_uppercase(), format!("{bank}:{text}")] {
            assert_eq!(BankDigest::from_hex(bank, &right), Some(value), "{right}");
        }
        for wrong in [text[2..].to_owned(), format!("{text}00"), format!("sha1:{text}"), text.replace('0', "g"), format!("+{}", &text[1..])]
        {
            assert_eq!(BankDigest::from_hex(bank, &wrong), None, "{wrong}");
        }
    }
}

#[test]
fn another_number_is_refused() {
    let bytes = log(7);
    let error = Records::new(&bytes, 8, TPM, &LIMITS).next().unwrap().unwrap_err();
    assert_eq!((error.item, error.problem), ("pod_log.number", Problem::WrongValue));
    // One that was taken out.
    let first = Record { number: 7, event: events().remove(0) }.encode(TPM).len();
    assert!(Records::new(&bytes[first..], 7, TPM, &LIMITS).next().unwrap().is_err());
}

#[test]
fn every_byte_counts() {
    for register in REGISTERS {
        let bytes = log_in(register, 0);
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut altered = bytes.clone();
                altered[at] ^= bit;
                assert!(Records::new(&altered, 0, register, &LIMITS).any(|record| record.is_err()), "byte {at}");
            }
        }
        for length in 1..bytes.len() {
            let read: Result<Vec<_>, _> = Records::new(&bytes[..length], 0, register, &LIMITS).collect();
            // Whole records are a shorter log; what is more is refused.
            let whole =
                |records: Vec<(Record, _)>| records.iter().map(|(record, _)| record.encode(register).len()).sum::<usize>() == length;
            assert!(read.map_or(true, whole));
        }
    }
}

#[test]
fn an_error_ends_the_reading() {
    let mut bytes = log(0);
    bytes[0] = 9;
    assert_eq!(Records::new(&bytes, 0, TPM, &LIMITS).count(), 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512), from: u64) {
        for register in REGISTERS {
            let _ = Records::new(&bytes, from, register, &LIMITS).count();
        }
    }
}
