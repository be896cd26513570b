//! Logs that are kept in a register of SHA-384: the replay, and what is made of them.

use podseal_protocol::{
    BankDigest,
    binding::PodLogHead,
    evidence::{Evidence, Part},
};

use super::*;
use crate::{
    check::{Check, Checks, Verdict},
    eventlog::{ReplayedLog, appraise_log},
    layout::Layout,
    pod_log::{Before, Presented, judge, rules},
    tpm::PcrValues,
};

/// The same on a node whose register is of SHA-384.
fn after_in_sha384(events: &[Event]) -> PodLogState {
    let register = Register::Rtmr;
    let records = bytes_in(register, 0, &[&[began_in(Bank::Sha384)], events].concat());
    replay(None, Piece { register, from: 0, records: &records }, &LIMITS).unwrap()
}

/// What runs is the same, and so is the chain but for what it begins on; the register is another.
#[test]
fn beside_a_register_of_sha384_the_chain_is_sha256() {
    let happened = [Event::Started(start("c", "p", false)), exec("c")];
    let (tpm, td) = (after(&happened), after_in_sha384(&happened));
    assert_eq!((td.execs("p"), td.container("c"), td.head().length), (tpm.execs("p"), tpm.container("c"), 3));
    let all = [&[began_in(Bank::Sha384)], &happened[..]].concat();
    let records = || (0..).zip(all.clone()).map(|(number, event)| Record { number, event });
    assert_eq!(td.head().head, records().fold(Digest([0; 32]), |head, record| extended(&head, &record.digest())));
    let register = records().fold(Bank::Sha384.zero(), |register, record| {
        // The content is the last field; number, register and digests stand before it.
        let extended = Bank::Sha384.digest(&record.encode(Register::Rtmr)[13 + 6 + 58..]);
        Bank::Sha384.digest(&[register.as_ref(), extended.as_ref()].concat())
    });
    assert_eq!(td.register(), register);
    assert_eq!(PodLogState::decode(&td.encode(), &LIMITS).unwrap(), td);
    // It goes on in its own bank only.
    let more = |register: Register| bytes_in(register, 3, &[ended("c")]);
    let on = |state, register, records: &[u8]| replay(Some(state), Piece { register, from: 3, records }, &LIMITS);
    assert_eq!(on(&td, Register::Rtmr, &more(Register::Rtmr)).unwrap(), after_in_sha384(&[&happened[..], &[ended("c")]].concat()));
    assert_eq!(on(&td, Register::TPM, &more(Register::TPM)), Err(ReplayError::Resend { from: 3 }));
    assert_eq!(on(&tpm, Register::Rtmr, &more(Register::Rtmr)), Err(ReplayError::Resend { from: 3 }));
}

/// A TD that boots, keeps a log, and shows both; each as it is, or changed.
struct Td {
    /// What the boot measures into RTMR3, and is told of it by its log.
    boot: Option<&'static [u8]>,
    /// What the first record says of the register.
    prior: BankDigest,
    /// Extended behind the log's back.
    stranger: Option<&'static [u8]>,
    /// What the evidence says of the log, if not where it stands.
    claimed: Option<PodLogHead>,
    /// What was kept of it.
    kept: Option<PodLogState>,
}

const HONEST: Td = Td { boot: None, prior: BankDigest::Sha384([0; 48]), stranger: None, claimed: None, kept: None };

/// A crypto-agile log (PFP 1.06, 10.2) of one event in RTMR0 and perhaps one in RTMR3.
fn boot_log(events: &[(u32, &[u8])]) -> Vec<u8> {
    let spec_id = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0c, 0, 48, 0, 0]].concat();
    let mut bytes = [&[0; 4][..], &[3, 0, 0, 0], &[0; 20], &u32::try_from(spec_id.len()).unwrap().to_le_bytes(), &spec_id].concat();
    for (register, data) in events {
        bytes.extend([&register.to_le_bytes()[..], &[0x0d, 0, 0, 0, 1, 0, 0, 0, 0x0c, 0], Bank::Sha384.digest(data).as_ref()].concat());
        bytes.extend([&u32::try_from(data.len()).unwrap().to_le_bytes(), *data].concat());
    }
    bytes
}

impl Td {
    /// The state, and the checks that failed.
    fn judged(&self) -> (Option<PodLogState>, Vec<Check>) {
        let began = Event::Began { boot_id: "b00t".to_owned(), register: self.prior, exceptions: Vec::new() };
        let events = [began, Event::Started(start("c", "p", false))];
        let records = bytes_in(Register::Rtmr, 0, &events);
        let state = replay(None, Piece { register: Register::Rtmr, from: 0, records: &records }, &LIMITS).unwrap();
        let extended = |register: BankDigest, data: &[u8]| register.extended(&Bank::Sha384.digest(data));
        let mut quoted = PcrValues::new(Bank::Sha384);
        assert!(quoted.insert(1, extended(Bank::Sha384.zero(), b"firmware").as_ref()));
        let register = self.stranger.map_or(state.register(), |stranger| extended(state.register(), stranger));
        assert!(quoted.insert(4, register.as_ref()));
        let measured = [Some((1, &b"firmware"[..])), self.boot.map(|data| (4, data))];
        let log = boot_log(&measured.into_iter().flatten().collect::<Vec<_>>());
        let log = ReplayedLog::replay(&log, Bank::Sha384, Layout::Td, &LIMITS).unwrap();
        let boot = appraise_log(Ok(&log), &quoted, &mut Checks::owing(&[])).unwrap();
        let evidence = Evidence {
            node: String::new(),
            profile: String::new(),
            boot_id: "b00t".to_owned(),
            pod_log: self.claimed.unwrap_or(state.head()),
            parts: vec![Part::PodLog { from: 0, records }],
        };
        let presented = Presented::of(&evidence).unwrap();
        let mut checks = Checks::owing(&rules::RULES);
        let before = Before { kept: self.kept.as_ref(), through: None };
        let judged = judge(&presented, &quoted, &boot, before, &LIMITS, &mut checks);
        let failed = checks.finish().into_iter().filter(|check| check.verdict != Verdict::Pass);
        (judged.into_state(), failed.collect())
    }

    #[track_caller]
    fn refused(&self, rule: &str, found: &str) {
        let (state, failed) = self.judged();
        assert!(state.is_none());
        assert_eq!(failed.iter().map(|check| check.rule.name).collect::<Vec<_>>(), [rule]);
        assert!(failed[0].found.contains(found), "{}", failed[0].found);
    }
}

#[test]
fn log_in_a_register_of_sha384_holds() {
    let (state, failed) = HONEST.judged();
    assert_eq!(failed, []);
    assert_eq!(state.unwrap().head().length, 2);
    // What the boot left in the register, by its own log.
    let prior = Bank::Sha384.zero().extended(&Bank::Sha384.digest(b"an agent"));
    assert_eq!(Td { boot: Some(b"an agent"), prior, ..HONEST }.judged().1, []);
    // A state of another bank is as good as none.
    assert_eq!(Td { kept: Some(after(&[])), ..HONEST }.judged().1, []);
}

#[test]
fn register_of_sha384_mismatch() {
    Td { stranger: Some(b"something"), ..HONEST }.refused("pod_log.register", "the register differs");
    let head = HONEST.judged().0.unwrap().head();
    for claimed in [PodLogHead { length: 3, ..head }, PodLogHead { head: Digest::of(b"head"), ..head }, PodLogHead::NONE] {
        Td { claimed: Some(claimed), ..HONEST }.refused("pod_log.register", "the evidence differs");
    }
    let both = Td { stranger: Some(b"something"), claimed: Some(PodLogHead::NONE), ..HONEST };
    both.refused("pod_log.register", "the records differ from both");
}

#[test]
fn register_of_sha384_not_zero_at_start() {
    let prior = Bank::Sha384.digest(b"something");
    Td { prior, ..HONEST }.refused("pod_log.prior", &prior.to_string());
    Td { prior, boot: Some(b"an agent"), ..HONEST }.refused("pod_log.prior", &prior.to_string());
}
