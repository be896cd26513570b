//! What the transaction decides where two requests got past every check before it.

use podseal_appraisal::{
    claims::RootKind,
    records::{NodeRecord, SecretRecord},
};
use podseal_protocol::{Digest, cbor::Encoder};
use podseal_verifier::{
    archive::{Archive, ArchiveError},
    kek,
    keyring::Keyring,
    store::{
        Missing, Store,
        challenges::Spend,
        documents::Document,
        mutation::{ChangeError, Conflict, Enrolment, JoinToken, Mutation},
        nodes,
        secrets::SealedVersion,
    },
};

use crate::{administration::cluster, verifier::Installation};

/// After every challenge that the running verifier has forgotten: 2096.
const NOW: u64 = 4_000_000_000;

async fn store(installation: &Installation) -> Store {
    Store::open(&installation.path("data/podseal.db"), Missing::Refuse).await.unwrap()
}

async fn apply(store: &Store, mutation: &Mutation) -> Option<Conflict> {
    let mut transaction = store.write().await.unwrap();
    let outcome = mutation.apply(&mut transaction, NOW).await;
    transaction.commit().await.unwrap();
    match outcome {
        Ok(()) => None,
        Err(ChangeError::Conflict(conflict)) => Some(conflict),
        Err(ChangeError::Store(error)) => panic!("{error}"),
    }
}

/// A machine of its own for each number: only challenge and token may be the same.
fn enrolment(number: u8, challenge: u8, token: Option<&str>) -> Mutation {
    Mutation::EnrolNode(Enrolment {
        record: NodeRecord {
            node: format!("node-{number}"),
            cluster: "east".to_owned(),
            node_uid: format!("uid-{number}"),
            profile: "tpm".to_owned(),
            machine: Digest::of(&[number]),
            key: vec![number],
            root: "maker".to_owned(),
            root_kind: RootKind::Test,
            approved: token.is_some(),
            quarantined: String::new(),
        },
        signer: vec![number; 34],
        token: token.map(|token| Digest::of(token.as_bytes())),
        challenge: Spend { digest: Digest::of(&[0xc0, challenge]), expires: NOW + 60 },
        join: vec![number],
        most_pending: 8,
    })
}

#[tokio::test]
async fn one_challenge_enrols_one_node() {
    let installation = Installation::new("");
    let store = store(&installation).await;
    assert_eq!(apply(&store, &enrolment(1, 1, None)).await, None);
    assert_eq!(apply(&store, &enrolment(2, 1, None)).await, Some(Conflict::ChallengeSpent));
    assert_eq!(apply(&store, &enrolment(2, 2, None)).await, None);
}

#[tokio::test]
async fn one_token_lets_one_node_in() {
    let installation = Installation::new("");
    let verifier = installation.start();
    verifier.admin().await.add_cluster(cluster("east")).await.unwrap();
    let (installation, ..) = verifier.stop().await;
    let store = store(&installation).await;
    let token = |text: &str, node: &str, expires| {
        let (digest, cluster, node) = (Digest::of(text.as_bytes()), "east".to_owned(), node.to_owned());
        Mutation::JoinToken(JoinToken { digest, cluster, node, expires })
    };
    for made in [token("any", "", NOW + 1), token("mine", "node-3", NOW + 1), token("late", "", NOW)] {
        assert_eq!(apply(&store, &made).await, None);
    }
    assert_eq!(apply(&store, &enrolment(1, 1, Some("any"))).await, None);
    assert_eq!(apply(&store, &enrolment(2, 2, Some("any"))).await, Some(Conflict::TokenSpent));
    assert_eq!(apply(&store, &enrolment(2, 3, Some("mine"))).await, Some(Conflict::TokenSpent));
    assert_eq!(apply(&store, &enrolment(2, 4, Some("late"))).await, Some(Conflict::TokenSpent));
    assert_eq!(apply(&store, &enrolment(3, 5, Some("mine"))).await, None);
}

/// No token lets a node out of quarantine, nobody's second reason hides the first, and what was seen of a node's TPM is only given up with a quarantine.
#[tokio::test]
async fn a_quarantine_stays() {
    let installation = Installation::new("");
    let verifier = installation.start();
    verifier.admin().await.add_cluster(cluster("east")).await.unwrap();
    let (installation, ..) = verifier.stop().await;
    let store = store(&installation).await;
    let (digest, cluster) = (Digest::of(b"any"), "east".to_owned());
    let token = Mutation::JoinToken(JoinToken { digest, cluster, node: String::new(), expires: NOW + 1 });
    assert_eq!(apply(&store, &token).await, None);
    let quarantine = |name: &str, why: &str| Mutation::QuarantineNode { name: name.to_owned(), why: why.to_owned() };
    let release = |name: &str| Mutation::ReleaseNode { name: name.to_owned() };
    assert_eq!(apply(&store, &enrolment(1, 1, None)).await, None);
    for (change, conflict) in [
        (release("node-1"), Some(Conflict::NotQuarantined)),
        (release("node-2"), Some(Conflict::UnknownNode)),
        (quarantine("node-2", "lost"), Some(Conflict::UnknownNode)),
        (quarantine("node-1", "lost"), None),
        (quarantine("node-1", "found"), Some(Conflict::QuarantinedAlready)),
        (enrolment(1, 2, Some("any")), Some(Conflict::NodeExists)),
    ] {
        assert_eq!(apply(&store, &change).await, conflict, "{} {}", change.kind(), change.subject());
    }
    let why = || async { nodes::get(store.readers(), "node-1").await.unwrap().unwrap().record.quarantined };
    assert_eq!(why().await, "lost");
    assert_eq!(apply(&store, &release("node-1")).await, None);
    assert_eq!(why().await, "");
    assert_eq!(apply(&store, &enrolment(1, 3, Some("any"))).await, None, "whoever only waited makes way");
}

#[tokio::test]
async fn a_version_is_put_once() {
    let installation = Installation::new("");
    let store = store(&installation).await;
    let kek = kek::load(&installation.path("kek")).unwrap();
    let put = |version| {
        let record = SecretRecord { name: "a/b".to_owned(), version, accepts: Vec::new() };
        Mutation::PutSecret(SealedVersion::seal(&kek, &[7; 16], record, b"value").unwrap())
    };
    assert_eq!(apply(&store, &put(1)).await, None);
    assert_eq!(apply(&store, &put(2)).await, None);
    assert_eq!(apply(&store, &put(2)).await, Some(Conflict::VersionTaken));
    assert_eq!(apply(&store, &put(4)).await, Some(Conflict::VersionTaken), "none is left out");
    assert_eq!(apply(&store, &put(3)).await, None);
}

/// Every decision is archived with all of them.
#[tokio::test]
async fn reference_sets_have_a_bound_together() {
    let installation = Installation::new("");
    let store = store(&installation).await;
    let set = |name: &str, length| Mutation::ApplyReference(Document::new(name.to_owned(), "#".repeat(length)));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(apply(&store, &set(name, 1 << 20)).await, None, "{name}");
    }
    assert_eq!(apply(&store, &set("e", 1)).await, Some(Conflict::TooManyReferences));
    assert_eq!(apply(&store, &set("d", 1 << 19)).await, None, "one that takes the place of another counts once");
    assert_eq!(apply(&store, &set("e", 1)).await, None);
}

/// Whoever held the archive's key could put other content under a digest: the digest decides.
#[tokio::test]
async fn archived_content_has_the_digest_that_names_it() {
    let installation = Installation::new("");
    let store = store(&installation).await;
    let keys = Keyring::load(&store, kek::load(&installation.path("kek")).unwrap()).await.unwrap();
    let keys = std::sync::Arc::new(keys);
    let directory = installation.path("data/archive");
    let archive = Archive::open(directory.clone(), keys.clone()).unwrap();
    let digest = archive.put_blocking(b"what was decided").unwrap();
    assert_eq!(archive.get_blocking(&digest).unwrap(), b"what was decided");
    // What would not be read back is not kept.
    assert!(matches!(archive.put_blocking(&vec![0; (16 << 20) + 37]), Err(ArchiveError::TooLong(_))));

    let aad = Encoder::message("podseal.archived.v1", 3).bytes(keys.store_id()).digest(&digest).finish();
    let other = keys.archive().wrap(&aad, b"what was not said").unwrap();
    let name = digest.to_string();
    let mut files = Vec::new();
    for shelf in std::fs::read_dir(&directory).unwrap() {
        files.extend(std::fs::read_dir(shelf.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    let found = files.iter().find(|path| name.ends_with(path.file_name().unwrap().to_str().unwrap())).expect("the object's file");
    std::fs::write(found, other).unwrap();
    assert!(matches!(archive.get_blocking(&digest), Err(ArchiveError::Altered(altered)) if altered == digest));
}
