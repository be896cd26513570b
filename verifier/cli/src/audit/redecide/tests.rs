//! A recorded refusal, and what becomes visible when one part of its record is another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use podseal_appraisal::{
    check::Verdict,
    recheck::{OfLeaf, Shared},
};
use podseal_protocol::{Challenge, MacKey, Purpose, binding::PodLogHead, evidence::Evidence, exchange::Exchange};

use super::*;

type Objects = BTreeMap<String, Vec<u8>>;

fn entry_of(kind: EntryKind, objects: &Objects) -> Entry {
    let named = objects.iter().map(|(role, bytes)| (role.clone(), Digest::of(bytes))).collect();
    Entry::new("01J9C".to_owned(), 1_000_000, kind, named)
}

/// The refusal of a request by a node that nobody registered, with everything that the archive keeps of it.
fn refusal() -> (Entry, Objects) {
    let verifier = Digest::of(b"a verifier");
    let node = "node-1".to_owned();
    let challenge =
        Challenge { verifier, epoch: 1, purpose: Purpose::Release, node: node.clone(), issued: 1, expires: 61, random: [1; 32] };
    let pod_log = PodLogHead { length: 0, head: Digest::of(b"") };
    let evidence = Evidence { node, profile: "tpm".to_owned(), boot_id: "boot".to_owned(), pod_log, parts: Vec::new() };
    let challenge = challenge.issue(&MacKey::new([2; 32].into()));
    let exchange = Exchange::new(challenge, evidence.encode(), vec![b"no leaf".to_vec()], Vec::new()).encode();
    let shared = Shared {
        exchange,
        verifier,
        now: 30,
        challenge_issued: true,
        node: None,
        state: None,
        cluster: None,
        policy: None,
        references: Vec::new(),
        pod_log: None,
        hardware: None,
    };
    let parts = shared.into_objects().into_iter().chain(OfLeaf::new(0, &[3; 32], &[]).into_objects());
    let mut objects: Objects = parts.map(|(role, bytes)| (role.to_owned(), bytes)).collect();
    let placeholder = Explanation::of_checks("refused", "", "", &[]);
    objects.insert(role::EXPLANATION.to_owned(), placeholder.encode());
    let decided = recheck(&entry_of(EntryKind::Refused, &objects), &objects, &Limits::DEFAULT).unwrap();
    assert!(!decided.same);
    objects.insert(role::EXPLANATION.to_owned(), decided.now.encode());
    (entry_of(EntryKind::Refused, &objects), objects)
}

fn obstacles(checks: &[Check]) -> Vec<(&'static str, Verdict)> {
    checks.iter().filter(|check| check.verdict != Verdict::Pass).map(|check| (check.rule.name, check.verdict)).collect()
}

#[test]
fn the_same_record_comes_out_the_same() {
    let (entry, objects) = refusal();
    let checks = redecide(&entry, true, &objects);
    assert_eq!(checks.len(), 3);
    assert_eq!(obstacles(&checks), []);
}

#[test]
fn entry_that_the_log_does_not_have() {
    let (entry, objects) = refusal();
    assert_eq!(obstacles(&redecide(&entry, false, &objects)), [("recheck.logged", Verdict::Fail)]);
}

#[test]
fn object_altered_or_missing() {
    let (entry, whole) = refusal();
    let expected = [("recheck.objects", Verdict::Fail), ("recheck.decision", Verdict::NotAppraised)];
    for role in whole.keys() {
        let mut objects = whole.clone();
        objects.get_mut(role).unwrap()[0] ^= 1;
        let checks = redecide(&entry, true, &objects);
        assert_eq!(obstacles(&checks), expected, "{role} altered");
        assert!(checks[1].found.starts_with(role.as_str()), "{}", checks[1].found);
        objects.remove(role);
        assert_eq!(obstacles(&redecide(&entry, true, &objects)), expected, "{role} missing");
    }
}

#[test]
fn decision_that_was_recorded_as_another() {
    let (_, objects) = refusal();
    let recorded = Explanation::decode(&objects[role::EXPLANATION]).unwrap();
    let with = |recorded: &Explanation| {
        let mut objects = objects.clone();
        objects.insert(role::EXPLANATION.to_owned(), recorded.encode());
        let checks = redecide(&entry_of(EntryKind::Refused, &objects), true, &objects);
        assert_eq!(obstacles(&checks), [("recheck.decision", Verdict::Fail)]);
        checks[2].found.to_string()
    };
    let mut released = recorded.clone();
    released.result = "released".to_owned();
    assert!(with(&released).contains("recorded is released"));
    let mut check = recorded.clone();
    check.checks[1].found.push('x');
    assert!(with(&check).starts_with("check 2: "), "{}", with(&check));
    let mut claims = recorded.clone();
    claims.claims.insert("memory".to_owned(), "snp".to_owned());
    assert!(with(&claims).starts_with("other claims"));

    let entry = entry_of(EntryKind::Released, &objects);
    let checks = redecide(&entry, true, &objects);
    assert_eq!(obstacles(&checks), [("recheck.decision", Verdict::Fail)]);
    assert!(checks[2].found.contains("the entry says released"), "{}", checks[2].found);
}

#[test]
fn input_that_is_none_is_not_rechecked() {
    let (_, mut objects) = refusal();
    objects.insert(role::REFERENCES.to_owned(), b"none".to_vec());
    let checks = redecide(&entry_of(EntryKind::Refused, &objects), true, &objects);
    assert_eq!(obstacles(&checks), [("recheck.decision", Verdict::NotAppraised)]);
}

#[test]
fn change_has_nothing_to_decide_anew() {
    let mut objects = Objects::from([(role::CHANGE.to_owned(), b"what changed".to_vec())]);
    let entry = entry_of(EntryKind::Changed, &objects);
    let checks = redecide(&entry, true, &objects);
    assert_eq!((checks.len(), obstacles(&checks)), (2, Vec::new()));
    objects.insert(role::CHANGE.to_owned(), b"something else".to_vec());
    assert_eq!(obstacles(&redecide(&entry, true, &objects)), [("recheck.objects", Verdict::Fail)]);
}

#[test]
fn of_the_ciphertext_only_the_digest_was_kept() {
    let objects = Objects::from([(role::CHANGE.to_owned(), b"what changed".to_vec())]);
    let mut named = objects.clone();
    named.insert(role::CIPHERTEXT.to_owned(), b"sealed".to_vec());
    assert_eq!(obstacles(&redecide(&entry_of(EntryKind::Changed, &named), true, &objects)), []);
}
