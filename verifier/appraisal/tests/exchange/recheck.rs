//! Deciding anew from log entry and archived objects alone.

use std::collections::BTreeMap;

use podseal_appraisal::{
    entry::{Entry, EntryKind},
    explanation::Explanation,
    recheck::{OfLeaf, RecheckError, Rechecked, Shared, recheck, role},
};
use podseal_protocol::{Digest, Limits};

use super::world::{World, log, measured};

type Objects = BTreeMap<String, Vec<u8>>;

fn objects(shared: Shared, of_leaf: OfLeaf, explanation: &Explanation) -> Objects {
    let mut all: Objects = shared.into_objects().into_iter().chain(of_leaf.into_objects()).map(|(role, b)| (role.to_owned(), b)).collect();
    all.insert(role::EXPLANATION.to_owned(), explanation.encode());
    all
}

fn entry(kind: EntryKind, objects: &Objects) -> Entry {
    let mut named: Vec<_> = objects.iter().map(|(role, bytes)| (role.clone(), Digest::of(bytes))).collect();
    if kind == EntryKind::Released {
        named.push((role::CIPHERTEXT.to_owned(), Digest::of(b"what was delivered")));
    }
    Entry::new("01JD0000".to_owned(), super::world::NOW, kind, named)
}

/// What log and archive have of one leaf of `world`.
fn recorded(world: &World, index: usize) -> (Entry, Objects) {
    let (shared, of_leaf, explanation) = world.archived(index);
    let kind = if explanation.result == "released" { EntryKind::Released } else { EntryKind::Refused };
    let objects = objects(shared, of_leaf, &explanation);
    (entry(kind, &objects), objects)
}

fn anew(entry: &Entry, objects: &Objects) -> Result<Rechecked, RecheckError> {
    recheck(entry, objects, &Limits::DEFAULT)
}

type Change = (&'static str, fn(&mut World));

const REFUSALS: &[Change] = &[
    ("policy.permit", |w| w.pods[1].leaf.launcher = Digest::of(b"another launcher")),
    ("policy.in_force", |w| w.policy = None),
    ("policy.claims_appraised", |w| w.references.clear()),
    ("secret.exists", |w| drop(w.secrets.pop())),
    ("token.pod", |w| w.pods[1].claims["kubernetes.io"]["pod"]["uid"] = "another".into()),
    ("leaf.canonical", |w| w.pods[1].encoding = |bytes| bytes.push(0)),
    ("leaf.cluster_known", |w| w.cluster = None),
    ("log.replays", |w| w.log = Some(log(&measured()[1..]))),
    ("node.approved", |w| w.registered.as_mut().unwrap().approved = false),
];

#[test]
fn recheck_reads_only_the_archive() {
    let honest = World::of_replicas(2);
    for index in [0, 1] {
        let (entry, objects) = recorded(&honest, index);
        let again = anew(&entry, &objects).unwrap();
        assert!(again.same && again.now.result == "released");
        assert_eq!(again.now, honest.run().explanation(index));
    }
    // The log goes on from what was kept: that is an input like the others.
    let going_on = World::of_replicas(2).going_on();
    let (entry, mut objects) = recorded(&going_on, 1);
    let again = anew(&entry, &objects).unwrap();
    assert!(again.same && again.now.result == "released");
    objects.remove(role::POD_LOG_STATE);
    assert_eq!(anew(&entry, &objects).unwrap_err(), RecheckError::Missing { role: role::POD_LOG_STATE.to_owned() });
    for (rule, change) in REFUSALS {
        let mut world = honest.clone();
        change(&mut world);
        let (entry, objects) = recorded(&world, 1);
        let again = anew(&entry, &objects).unwrap();
        assert!(again.same, "{rule}");
        assert_eq!((again.now.result.as_str(), again.now.reason.as_str()), ("refused", *rule));
    }
}

/// What the entry does not name is no input, even if it lies in the archive under a role that would be one.
#[test]
fn recheck_ignores_what_the_entry_does_not_name() {
    let mut world = World::of_replicas(1);
    let text = world.policy.take().unwrap();
    let (entry, mut objects) = recorded(&world, 0);
    objects.insert(role::POLICY.to_owned(), text.into_bytes());
    let again = anew(&entry, &objects).unwrap();
    assert!(again.same);
    assert_eq!(again.now.reason, "policy.in_force");
}

#[test]
fn recheck_finds_altered_result() {
    let (_, _, explanation) = World::honest().archived(0);
    let forgeries: [fn(&mut Explanation); 6] = [
        |e| e.result = "refused".to_owned(),
        |e| e.reason = "policy.permit".to_owned(),
        |e| e.secrets[0] = "db=payments/db@2".to_owned(),
        |e| drop(e.claims.insert("root".to_owned(), "production".to_owned())),
        |e| drop(e.checks.pop()),
        |e| e.checks[3].found.push('!'),
    ];
    for (number, forge) in forgeries.iter().enumerate() {
        let (shared, of_leaf, _) = World::honest().archived(0);
        let mut forged = explanation.clone();
        forge(&mut forged);
        let objects = objects(shared, of_leaf, &forged);
        assert!(!anew(&entry(EntryKind::Released, &objects), &objects).unwrap().same, "forgery {number}");
    }
    let (_, objects) = recorded(&World::honest(), 0);
    assert!(!anew(&entry(EntryKind::Refused, &objects), &objects).unwrap().same, "released, and logged as refused");
}

/// Whoever can write both log and archive still cannot make another input give the recorded result.
#[test]
fn recheck_finds_altered_input() {
    let changes: [fn(&mut Shared); 6] = [
        |s| s.challenge_issued = false,
        |s| s.now += 600,
        |s| s.verifier = Digest::of(b"another"),
        |s| s.node = None,
        |s| s.references.clear(),
        |s| s.policy = s.policy.as_ref().map(|text| text.replace("10001", "10002")),
    ];
    for (number, change) in changes.iter().enumerate() {
        let (mut shared, of_leaf, explanation) = World::honest().archived(0);
        change(&mut shared);
        let objects = objects(shared, of_leaf, &explanation);
        let again = anew(&entry(EntryKind::Released, &objects), &objects).unwrap();
        assert!(!again.same && again.now.result != "released", "change {number}");
    }
}

#[test]
fn altered_object_is_not_the_one_that_the_entry_names() {
    let (entry, honest) = recorded(&World::honest(), 0);
    for altered in honest.keys() {
        let mut objects = honest.clone();
        *objects.get_mut(altered).unwrap().last_mut().unwrap() ^= 1;
        assert_eq!(anew(&entry, &objects).unwrap_err(), RecheckError::OtherDigest { role: altered.clone() });
    }
}

#[test]
fn missing_object_is_missing() {
    let (entry, honest) = recorded(&World::honest(), 0);
    for gone in honest.keys() {
        let mut objects = honest.clone();
        objects.remove(gone);
        assert_eq!(anew(&entry, &objects).unwrap_err(), RecheckError::Missing { role: gone.clone() });
    }
}

#[test]
fn entry_that_names_no_input_cannot_be_decided() {
    let (_, honest) = recorded(&World::honest(), 0);
    for gone in [role::EXCHANGE, role::DECISION, role::REFERENCES, role::LEAF, role::SECRETS, role::EXPLANATION] {
        let mut objects = honest.clone();
        objects.remove(gone);
        let entry = entry(EntryKind::Released, &objects);
        assert_eq!(anew(&entry, &honest).unwrap_err(), RecheckError::Missing { role: gone.to_owned() });
    }
    let (_, going_on) = recorded(&World::honest().going_on(), 0);
    for (without, reason, honest) in [
        (role::NODE, "node.enrolled", &honest),
        (role::CLUSTER, "leaf.cluster_known", &honest),
        (role::POLICY, "policy.in_force", &honest),
        (role::POD_LOG_STATE, "pod_log.resend", &going_on),
    ] {
        let mut objects = honest.clone();
        objects.remove(without);
        let again = anew(&entry(EntryKind::Released, &objects), honest).unwrap();
        assert_eq!((again.same, again.now.reason.as_str()), (false, reason));
    }
}

#[test]
fn inputs_that_do_not_parse() {
    let with = |role: &str, bytes: &[u8]| {
        let (_, mut objects) = recorded(&World::honest(), 0);
        objects.insert(role.to_owned(), bytes.to_vec());
        anew(&entry(EntryKind::Released, &objects), &objects).unwrap_err()
    };
    for role in
        [role::EXCHANGE, role::DECISION, role::REFERENCES, role::LEAF, role::SECRETS, role::NODE, role::CLUSTER, role::POD_LOG_STATE]
    {
        assert!(matches!(with(role, b"x"), RecheckError::Malformed(_)), "{role}");
    }
    assert_eq!(with(role::POLICY, b"permit everything"), RecheckError::Policy);
    assert_eq!(with(role::POLICY, &[0xff]), RecheckError::Policy);
    assert_eq!(with(role::EXPLANATION, b"{}"), RecheckError::Explanation);
    let (mut shared, _, explanation) = World::honest().archived(0);
    shared.references[0].1.push_str("surprise = 1");
    let broken = objects(shared.clone(), OfLeaf::new(0, &[0; 32], &[]), &explanation);
    assert_eq!(anew(&entry(EntryKind::Released, &broken), &broken).unwrap_err(), RecheckError::References);
    shared.references.clear();
    let far = objects(shared, OfLeaf::new(1, &[0; 32], &[]), &explanation);
    assert_eq!(anew(&entry(EntryKind::Released, &far), &far).unwrap_err(), RecheckError::NoSuchLeaf);
}

/// What log and archive have of a node that came without leaves.
fn attested(world: &World) -> (Entry, Objects) {
    let run = world.run();
    let explanation = Explanation::of_node(&run.batch, &run.appraisal);
    let mut all: Objects = world.shared(&run).into_objects().into_iter().map(|(role, bytes)| (role.to_owned(), bytes)).collect();
    all.insert(role::EXPLANATION.to_owned(), explanation.encode());
    let kind = if explanation.result == "attested" { EntryKind::Attested } else { EntryKind::Refused };
    (entry(kind, &all), all)
}

#[test]
fn attestation_is_decided_anew() {
    let alone = || World::of_replicas(0);
    let mut failing = alone();
    failing.log = Some(log(&measured()[1..]));
    let mut quarantined = alone();
    quarantined.registered.as_mut().unwrap().quarantined = "lost".to_owned();
    for (world, result, reason) in
        [(alone(), "attested", ""), (failing, "refused", "log.replays"), (quarantined, "refused", "node.quarantine")]
    {
        let (entry, objects) = attested(&world);
        let rechecked = anew(&entry, &objects).unwrap();
        assert!(rechecked.same, "{rechecked:#?}");
        assert_eq!((rechecked.now.result.as_str(), rechecked.now.reason.as_str()), (result, reason));
        // Neither kind passes for the other.
        let other = if entry.kind == EntryKind::Attested { EntryKind::Refused } else { EntryKind::Attested };
        assert!(!anew(&Entry { kind: other, ..entry.clone() }, &objects).unwrap().same);
        assert!(!anew(&Entry { kind: EntryKind::Released, ..entry }, &objects).unwrap().same);
    }
    // What was decided on a leaf is no attestation, whatever the entry leaves out.
    let (entry, objects) = attested(&World::of_replicas(1));
    assert_eq!(anew(&entry, &objects).unwrap_err(), RecheckError::Missing { role: role::LEAF.to_owned() });
    // A stranger attests nothing.
    let mut stranger = alone();
    stranger.registered = None;
    let run = stranger.run();
    assert_eq!(Explanation::of_node(&run.batch, &run.appraisal).result, "rejected");
    assert_eq!(run.batch.answered().collect::<Vec<_>>().len(), 1, "the refusal has something to go by");
}
