//! The replay by itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sha384;

use podseal_protocol::{
    Bank, Digest, Limits,
    cbor::{Encoder, Problem},
    pod_log::{Event, Record, Register, Started, extended},
};
use proptest::{collection::vec, prelude::*};

use super::{Piece, PodLogState, ReplayError, replay};

const LIMITS: Limits = Limits::DEFAULT;

fn began() -> Event {
    began_in(Bank::Sha256)
}

fn began_in(bank: Bank) -> Event {
    Event::Began { boot_id: "b00t".to_owned(), register: bank.zero(), exceptions: names(&["landlock", "seccomp"]) }
}

fn restarted(exceptions: &[&str]) -> Event {
    Event::AttesterRestarted { exceptions: names(exceptions) }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn start(id: &str, pod: &str, sandbox: bool) -> Started {
    Started {
        container_id: id.to_owned(),
        sandbox,
        pod_uid: pod.to_owned(),
        namespace: String::new(),
        pod: String::new(),
        container: String::new(),
        image: format!("app@sha256:{}", Digest::of(id.as_bytes())),
        privileged: false,
        heard: true,
    }
}

fn ended(id: &str) -> Event {
    Event::Ended { container_id: id.to_owned() }
}

fn exec(id: &str) -> Event {
    Event::Exec { container_id: id.to_owned(), exec_id: "e".to_owned() }
}

fn bytes(from: u64, events: &[Event]) -> Vec<u8> {
    bytes_in(Register::TPM, from, events)
}

fn bytes_in(register: Register, from: u64, events: &[Event]) -> Vec<u8> {
    (from..).zip(events).flat_map(|(number, event)| Record { number, event: event.clone() }.encode(register)).collect()
}

fn piece(from: u64, records: &[u8]) -> Piece<'_> {
    Piece { register: Register::TPM, from, records }
}

fn after(events: &[Event]) -> PodLogState {
    replay(None, piece(0, &bytes(0, &[&[began()], events].concat())), &LIMITS).unwrap()
}

#[test]
fn ended_containers_and_pods_leave() {
    let (sandbox, app) = (Event::Started(start("s", "p", true)), Event::Started(start("c", "p", false)));
    let running = after(&[sandbox.clone(), app.clone(), exec("c")]);
    assert_eq!((running.execs("p"), running.container("c").unwrap().execs), (Some(1), 1));
    assert_eq!(running.containers_of("p").collect::<Vec<_>>(), ["c"]);
    // The pod may start it again: what was done in it stays said.
    let crashed = after(&[sandbox.clone(), app.clone(), exec("c"), ended("c"), app.clone()]);
    assert_eq!((crashed.execs("p"), crashed.container("c").unwrap().execs), (Some(1), 0));
    for end in [[ended("c"), ended("s")], [ended("s"), ended("c")]] {
        let gone = after(&[&[sandbox.clone(), app.clone(), exec("c")], &end[..]].concat());
        assert_eq!((gone.execs("p"), gone.gaps()), (None, 0));
        assert!(gone.pods.is_empty() && gone.containers.is_empty());
    }
    // Where no sandbox was seen, only that of a pod in which nothing was done is forgotten.
    assert_eq!(after(&[app.clone(), exec("c"), ended("c")]).execs("p"), Some(1));
    assert_eq!(after(&[app, ended("c")]).execs("p"), None);
}

#[test]
fn what_the_log_cannot_explain_is_a_gap() {
    let app = || Event::Started(start("c", "p", false));
    let found = Event::Started(Started { heard: false, ..start("c", "p", false) });
    for (what, events, execs) in [
        ("an interruption", vec![app(), Event::Interrupted], None),
        ("a restart of the attester", vec![app(), restarted(&[])], None),
        ("found running", vec![found], None),
        ("an exec in a container that it does not know", vec![app(), exec("d")], Some(0)),
        ("the end of one", vec![app(), ended("d")], Some(0)),
        ("one that starts twice", vec![app(), exec("c"), app()], Some(1)),
    ] {
        let state = after(&events);
        assert_eq!((state.gaps(), state.execs("p")), (1, execs), "{what}");
        let kept = state.container("c").unwrap().execs;
        assert_eq!(kept, execs.unwrap_or_default(), "{what}: nothing is undone by it");
    }
    // A pod that began after an interruption missed nothing.
    assert_eq!(after(&[Event::Interrupted, app()]).execs("p"), Some(0));
    assert_eq!(after(&[restarted(&[]), app()]).execs("p"), Some(0));
    assert_eq!(after(&[restarted(&[])]).restarts(), 1);
}

#[test]
fn exceptions_are_those_of_the_newest_start() {
    let network = &["privileged-network"][..];
    assert_eq!(after(&[Event::Interrupted]).exceptions(), ["landlock", "seccomp"]);
    assert_eq!(after(&[restarted(network), Event::Interrupted]).exceptions(), network);
    assert!(after(&[restarted(network), restarted(&[])]).exceptions().is_empty());
}

#[test]
fn one_that_moves_to_another_pod_leaves_the_first() {
    let state = after(&[Event::Started(start("c", "p", false)), Event::Started(start("c", "q", false))]);
    assert_eq!((state.execs("p"), state.execs("q"), state.gaps()), (None, Some(0), 1));
    assert_eq!(PodLogState::decode(&state.encode(), &LIMITS).unwrap(), state);
}

#[test]
fn images_are_named_by_their_digest() {
    let image = |image: &str| {
        let state = after(&[Event::Started(Started { image: image.to_owned(), privileged: true, ..start("c", "p", false) })]);
        (state.privileged_images().first().unwrap().clone(), state.container("c").unwrap().manifest)
    };
    let digest = Digest::of(b"manifest");
    let named = format!("sha256:{digest}");
    assert_eq!(image(&format!("registry.example:5000/app:1@{named}")), (named.clone(), Some(digest)));
    assert_eq!(image(&named), (named.clone(), Some(digest)));
    for other in ["app:latest", "app@sha256:aa", "", "app@", "sha512:00"] {
        assert_eq!(image(other), (other.to_owned(), None));
    }
}

#[test]
fn records_that_lead_to_nothing() {
    let log = bytes(0, &[began(), Event::Interrupted]);
    let state = replay(None, piece(0, &log), &LIMITS).unwrap();
    let anew = |state, from, records: &[u8]| replay(state, piece(from, records), &LIMITS).unwrap_err();
    assert_eq!(anew(None, 2, b""), ReplayError::Resend { from: 2 });
    assert_eq!(anew(Some(&state), 1, b""), ReplayError::Resend { from: 1 });
    assert_eq!(anew(Some(&state), 3, b""), ReplayError::Resend { from: 3 });
    assert_eq!(replay(Some(&state), piece(2, b""), &LIMITS).unwrap(), state);
    // From 0 there is nothing to go on from.
    assert_eq!(anew(Some(&state), 0, b""), ReplayError::NotBegun);
    assert_eq!(anew(None, 0, &bytes(0, &[Event::Interrupted])), ReplayError::NotBegun);
    assert_eq!(anew(None, 0, &bytes(0, &[began(), began()])), ReplayError::BegunAgain { number: 1 });
    assert_eq!(anew(Some(&state), 2, &bytes(2, &[began()])), ReplayError::BegunAgain { number: 2 });
    let ReplayError::Malformed(malformed) = anew(Some(&state), 2, &bytes(3, &[Event::Interrupted])) else { panic!() };
    assert_eq!((malformed.item, malformed.problem), ("pod_log.number", Problem::WrongValue));
}

#[test]
fn more_than_any_node_runs_is_refused() {
    let many = |count: u32, privileged: bool, end: bool| {
        let mut events = vec![began()];
        for number in 0..count {
            events.push(Event::Started(Started { privileged, ..start(&format!("c{number}"), "p", false) }));
            events.extend(end.then(|| ended(&format!("c{number}"))));
        }
        replay(None, piece(0, &bytes(0, &events)), &LIMITS)
    };
    assert!(many(4096, false, false).is_ok() && many(5000, false, true).is_ok());
    assert_eq!(many(4097, false, false), Err(ReplayError::TooMany { number: 4097 }));
    assert!(matches!(many(4097, true, true), Err(ReplayError::TooMany { .. })));
}

#[test]
fn state_has_one_encoding() {
    let events = [Event::Started(start("s", "p", true)), Event::Started(start("c", "p", false)), Event::Started(start("d", "q", false))];
    let honest = after(&events);
    let decoded = |state: &PodLogState| PodLogState::decode(&state.encode(), &LIMITS);
    assert_eq!(decoded(&honest), Ok(honest.clone()));
    let changes: [fn(&mut PodLogState); 5] = [
        |s| drop(s.pods.remove("q")),
        |s| drop(s.containers.remove("d")),
        |s| s.containers.get_mut("d").unwrap().pod_uid.push('x'),
        |s| s.exceptions.reverse(),
        |s| s.exceptions[0].push('X'),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut state = honest.clone();
        change(&mut state);
        assert!(decoded(&state).is_err(), "change {number}");
    }
    let bytes = honest.encode();
    assert!(PodLogState::decode(&[&bytes[..], &[0]].concat(), &LIMITS).is_err());
    // In a bank of SHA-256 the register is the head, and what it held before is of the same bank.
    let head = honest.head().head;
    let at = bytes.windows(32).rposition(|window| window == head.as_ref()).unwrap();
    let mut another = bytes.clone();
    another[at] ^= 1;
    let problem = |bytes: &[u8]| PodLogState::decode(bytes, &LIMITS).map_err(|m| (m.item, m.problem)).unwrap_err();
    assert_eq!(problem(&another), ("pod_log_state.register", Problem::WrongValue));
    let longer = Encoder::default().bytes(Bank::Sha384.zero().as_ref()).finish();
    let mixed = [&bytes[..at - 2], &longer, &bytes[at + 32..]].concat();
    assert_eq!(problem(&mixed), ("pod_log_state.register", Problem::WrongLength));
    // Ids in another order.
    let at = |id: &[u8]| bytes.windows(2).position(|window| window == id).unwrap() + 1;
    let mut swapped = bytes.clone();
    swapped.swap(at(b"\x61c"), at(b"\x61d"));
    assert!(PodLogState::decode(&swapped, &LIMITS).is_err());
}

fn events() -> impl Strategy<Value = Event> {
    let id = || (0..6_u8).prop_map(|number| format!("c{number}"));
    let started = (id(), 0..3_u8, any::<[bool; 3]>()).prop_map(|(id, pod, [sandbox, privileged, heard])| {
        Event::Started(Started { privileged, heard, ..start(&id, &format!("p{pod}"), sandbox) })
    });
    prop_oneof![
        1 => prop_oneof![Just(restarted(&[])), Just(restarted(&["privileged-network"]))],
        1 => Just(Event::Interrupted),
        6 => started,
        3 => id().prop_map(|id| exec(&id)),
        5 => id().prop_map(|id| ended(&id)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened, and wherever it was cut: the pieces lead to what the whole leads to, also by way of the archive.
    #[test]
    fn replay_in_pieces_is_replay_at_once(happened in vec(events(), 0..60), cuts in vec(0..60_usize, 0..4)) {
        let all = [&[began()], &happened[..]].concat();
        let at_once = replay(None, piece(0, &bytes(0, &all)), &LIMITS).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| 1 + cut.min(happened.len())).collect();
        cuts.sort_unstable();
        cuts.push(all.len());
        let (mut state, mut from) = (None, 0);
        for cut in cuts {
            let part = bytes(from as u64, &all[from..cut]);
            let next = replay(state.as_ref(), piece(from as u64, &part), &LIMITS).unwrap();
            state = Some(PodLogState::decode(&next.encode(), &LIMITS).unwrap());
            from = cut;
        }
        prop_assert_eq!(state.as_ref(), Some(&at_once));
        let register = (0..).zip(&all).fold(Digest([0; 32]), |register, (number, event)| {
            extended(&register, &Record { number, event: event.clone() }.digest())
        });
        prop_assert_eq!(at_once.head().head, register);
        prop_assert_eq!(at_once.head().length, all.len() as u64);
    }

    /// An exec is never undone while the pod is there, and a privileged image never before the next boot.
    #[test]
    fn nothing_is_forgotten_too_early(happened in vec(events(), 1..60)) {
        let before = after(&happened[..happened.len() - 1]);
        let now = after(&happened);
        prop_assert!(before.privileged_images().is_subset(now.privileged_images()));
        prop_assert!(before.gaps() <= now.gaps());
        for (uid, pod) in &before.pods {
            if let Some(still) = now.pods.get(uid) {
                prop_assert!(still.execs >= pod.execs && still.heard_all <= pod.heard_all);
            }
        }
    }

    #[test]
    fn no_bytes_panic(records in vec(any::<u8>(), 0..200), from in 0..3_u64) {
        let state = after(&[]);
        let _ = replay(Some(&state), piece(from, &records), &LIMITS);
        let _ = PodLogState::decode(&records, &LIMITS);
    }
}
