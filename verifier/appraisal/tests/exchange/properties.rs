//! No bytes panic, and what is written is read back as it was.

use std::sync::LazyLock;

use podseal_appraisal::{
    batch::Unverified,
    claims::RootKind,
    decision::Decision,
    entry::{Entry, EntryKind},
    explanation::Explanation,
    pod_log::PodLogState,
    recheck::recheck,
    records::{ClusterRecord, NodeDirectories, NodeRecord, SecretRecord, decode_secrets, encode_secrets},
};
use podseal_protocol::{Digest, Limits};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::world::{NOW, Prepared, World, cluster, log, measured, node_a};

static EXCHANGE: LazyLock<(Prepared, Vec<u8>)> = LazyLock::new(|| {
    let world = World::of_replicas(2);
    (world.prepared(), world.exchange())
});

fn every_decoder(bytes: &[u8]) {
    let limits = Limits::DEFAULT;
    let _ = Unverified::parse(bytes, &limits);
    let _ = NodeRecord::decode(bytes, &limits);
    let _ = ClusterRecord::decode(bytes, &limits);
    let _ = PodLogState::decode(bytes, &limits);
    let _ = Entry::decode(bytes, &limits);
    let _ = decode_secrets(bytes, &limits);
    let _ = Explanation::decode(bytes);
}

prop_compose! {
    fn digests()(bytes: [u8; 32]) -> Digest { Digest(bytes) }
}

prop_compose! {
    fn nodes()(
        texts in vec("\\PC{0,20}", 6),
        machine in digests(),
        key in vec(any::<u8>(), 0..40),
        production: bool,
        approved: bool,
    ) -> NodeRecord {
        let [node, cluster, node_uid, profile, root, quarantined] = texts.try_into().unwrap();
        let root_kind = if production { RootKind::Production } else { RootKind::Test };
        NodeRecord { node, cluster, node_uid, profile, machine, key, root, root_kind, approved, quarantined }
    }
}

prop_compose! {
    fn clusters()(
        texts in vec("\\PC{0,20}", 3),
        jwks in vec(any::<u8>(), 0..40),
        tokens_name_nodes: bool,
        runtime in vec("\\PC{0,20}", 0..3),
        attester in vec("\\PC{0,20}", 0..3),
    ) -> ClusterRecord {
        let [id, issuer, kubelet] = texts.try_into().unwrap();
        ClusterRecord { id, issuer, jwks, tokens_name_nodes, directories: NodeDirectories { kubelet, runtime, attester } }
    }
}

prop_compose! {
    fn secrets()(name in "[a-z]{1,8}/[a-z]{1,8}", version: u64, accepts in vec("[a-z-]{0,20}", 0..4)) -> SecretRecord {
        SecretRecord { name, version, accepts }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        every_decoder(&bytes);
    }

    #[test]
    fn no_altered_record_panics(at: Index, byte: u8, end: Index) {
        let entry = Entry::new("id".to_owned(), NOW, EntryKind::Released, vec![("node".to_owned(), Digest([1; 32]))]);
        let metadata = encode_secrets(&[9; 32], &[SecretRecord { name: "a/b".to_owned(), version: 1, accepts: vec!["x".to_owned()] }]);
        let state = World::of_replicas(1).going_on().kept.unwrap().encode();
        for mut bytes in [node_a().encode(), cluster().encode(), entry.encode(), metadata, state, EXCHANGE.1.clone()] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            every_decoder(&bytes);
            bytes.truncate(end.index(bytes.len()));
            every_decoder(&bytes);
        }
    }

    /// Whatever single byte of an honest exchange is changed: nothing panics, and both leaves are released only where the byte is of the
    /// boot log, whose texts no digest covers.
    #[test]
    fn no_altered_exchange_is_released(at: Index, flip in 1_u8..) {
        let (prepared, honest) = &*EXCHANGE;
        let mut bytes = honest.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if Unverified::parse(&bytes, &Limits::DEFAULT).is_ok() {
            let run = prepared.run(&bytes, NOW, None);
            let released = run.decisions.iter().filter(|decision| matches!(decision, Decision::Release(_))).count();
            let log = log(&measured());
            let log_at = honest.windows(log.len()).position(|window| window == log).unwrap();
            prop_assert!(released < 2 || (log_at..log_at + log.len()).contains(&at));
        }
    }

    #[test]
    fn records_are_read_back(node in nodes(), cluster in clusters(), all in vec(secrets(), 0..4), salt: [u8; 32]) {
        let limits = Limits::DEFAULT;
        prop_assert_eq!(NodeRecord::decode(&node.encode(), &limits).unwrap(), node);
        prop_assert_eq!(ClusterRecord::decode(&cluster.encode(), &limits).unwrap(), cluster);
        prop_assert_eq!(decode_secrets(&encode_secrets(&salt, &all), &limits).unwrap(), all);
    }

    #[test]
    fn entries_are_read_back(audit_id in "[0-9A-Z]{0,26}", time: u64, kind in 0..3_usize, objects in vec(("[a-z]{1,10}", digests()), 0..10)) {
        let kind = [EntryKind::Released, EntryKind::Refused, EntryKind::Changed][kind];
        let entry = Entry::new(audit_id, time, kind, objects.clone());
        prop_assert_eq!(&Entry::decode(&entry.encode(), &Limits::DEFAULT).unwrap(), &entry);
        prop_assert!(entry.objects.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(objects.iter().all(|(role, _)| entry.object(role).is_some()));
        prop_assert!(recheck(&entry, &std::collections::BTreeMap::new(), &Limits::DEFAULT).is_err());
    }
}

#[test]
fn trailing_bytes() {
    let entry = Entry::new("id".to_owned(), NOW, EntryKind::Changed, Vec::new());
    let limits = Limits::DEFAULT;
    let more = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    assert!(NodeRecord::decode(&more(node_a().encode()), &limits).is_err());
    assert!(ClusterRecord::decode(&more(cluster().encode()), &limits).is_err());
    assert!(Entry::decode(&more(entry.encode()), &limits).is_err());
    assert!(decode_secrets(&more(encode_secrets(&[0; 32], &[])), &limits).is_err());
    assert!(Unverified::parse(&more(EXCHANGE.1.clone()), &limits).is_err());
}

#[test]
fn words_that_a_record_does_not_have() {
    let replaced = |bytes: Vec<u8>, from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    assert!(NodeRecord::decode(&replaced(node_a().encode(), b"dtest", b"dbest"), &Limits::DEFAULT).is_err());
    let entry = Entry::new("id".to_owned(), NOW, EntryKind::Changed, Vec::new());
    assert!(Entry::decode(&replaced(entry.encode(), b"changed", b"chanced"), &Limits::DEFAULT).is_err());
    let two = Entry::new(
        "id".to_owned(),
        NOW,
        EntryKind::Changed,
        vec![("one".to_owned(), Digest([0; 32])), ("two".to_owned(), Digest([0; 32]))],
    );
    assert!(Entry::decode(&replaced(two.encode(), b"\x63two", b"\x63one"), &Limits::DEFAULT).is_err(), "a role twice");
}
