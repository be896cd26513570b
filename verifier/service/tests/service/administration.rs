//! What administrators do, and what the log has of it.

use podseal_appraisal::{
    check::Checks,
    checkpoint::Checkpoint,
    entry::{Entry, EntryKind},
    merkle::{Frontier, leaf_hash},
};
use podseal_protocol::{
    Limits,
    key::{CertifiedKey, KeyUse},
};
use podseal_wire::{AuditId, Cluster, Document, Empty, GenerateSecretRequest, JoinTokenRequest, LogRange, Name, PutSecretRequest};
use tonic::Code;

use crate::verifier::{Installation, put, reason, sealed};

const POLICY: &str = r#"
@id("payments-db")
permit (principal, action == Action::"release", resource == Secret::"payments/db")
when { principal.namespace == "payments" };
"#;

/// A key set with one P-256 key (the example of RFC 7517, appendix A.1).
pub(crate) const KEY_SET: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

pub(crate) fn cluster(id: &str) -> Cluster {
    Cluster { id: id.to_owned(), issuer: "https://issuer.test".to_owned(), jwks: KEY_SET.to_vec(), ..Cluster::default() }
}

#[tokio::test]
async fn secrets_are_put_listed_and_deleted() {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    assert_eq!(put(&mut admin, "payments/db", b"first").await.unwrap().version, 1);
    assert_eq!(put(&mut admin, "payments/db", b"second").await.unwrap().version, 2);
    let generate = GenerateSecretRequest { name: "payments/key".to_owned(), length: 32, accepts: Vec::new() };
    assert_eq!(admin.generate_secret(generate).await.unwrap().into_inner().version, 1);
    let list = admin.list_secrets(Empty {}).await.unwrap().into_inner().secrets;
    let names: Vec<_> = list.iter().map(|s| (s.name.as_str(), s.version, s.accepts.join(","), s.releases)).collect();
    assert_eq!(names, [("payments/db", 2, "test-root".to_owned(), 0), ("payments/key", 1, String::new(), 0)]);

    let name = Name { name: "payments/db".to_owned() };
    admin.delete_secret(name.clone()).await.unwrap();
    let again = admin.delete_secret(name).await.unwrap_err();
    assert_eq!((again.code(), reason(&again)), (Code::FailedPrecondition, "secret.unknown"));
    assert_eq!(put(&mut admin, "payments/db", b"third").await.unwrap().version, 3, "no version number comes back");
}

#[tokio::test]
async fn what_is_no_secret_is_refused() {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    let identity = admin.get_verifier(Empty {}).await.unwrap().into_inner();
    let request = |name: &str, sealed: Vec<u8>, accepts: &[&str]| PutSecretRequest {
        name: name.to_owned(),
        sealed,
        accepts: accepts.iter().map(|word| (*word).to_owned()).collect(),
    };
    let good = || sealed(&identity, "a/b", b"x");
    let mut flipped = good();
    flipped[80] ^= 1;
    for (request, wanted) in [
        (request("no-namespace", sealed(&identity, "no-namespace", b"x"), &[]), "secret.name"),
        (request("a/b", good(), &["everything"]), "secret.accepts"),
        (request("a/c", good(), &[]), "secret.sealed"),
        (request("a/b", flipped, &[]), "secret.sealed"),
        (request("a/b", sealed(&identity, "a/b", b""), &[]), "secret.length"),
        (request("a/b", sealed(&identity, "a/b", &[0; 65_537]), &[]), "secret.length"),
    ] {
        let refused = admin.put_secret(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused)), (Code::InvalidArgument, wanted));
    }
    for length in [0, 15, 1025] {
        let request = GenerateSecretRequest { name: "a/b".to_owned(), length, accepts: Vec::new() };
        assert_eq!(reason(&admin.generate_secret(request).await.unwrap_err()), "secret.length");
    }
    assert!(admin.list_secrets(Empty {}).await.unwrap().into_inner().secrets.is_empty());
    put(&mut admin, "a/b", &[7; 65_536]).await.unwrap();
}

#[tokio::test]
async fn a_policy_is_taken_whole_or_not_at_all() {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    assert_eq!(reason(&admin.get_policy(Empty {}).await.unwrap_err()), "policy.none");
    let document = |text: &str| Document { name: String::new(), text: text.to_owned(), digest: Vec::new() };
    admin.apply_policy(document(POLICY)).await.unwrap();
    let refused = admin.apply_policy(document("permit (principal, action, resource);")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::InvalidArgument, "policy.invalid"));
    assert_eq!(admin.get_policy(Empty {}).await.unwrap().into_inner().text, POLICY);
    let refused = admin.apply_reference(document("not a reference set")).await.unwrap_err();
    assert_eq!(reason(&refused), "reference.invalid");
    let past = "name = \"past\"\nexpires = 2020-01-01T00:00:00Z\n[pcr]\n0 = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n";
    let refused = admin.apply_reference(document(past)).await.unwrap_err();
    assert_eq!(reason(&refused), "reference.expires", "{refused}");
}

#[tokio::test]
async fn clusters_and_join_tokens() {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    let token = |cluster: &str, lifetime| JoinTokenRequest { cluster: cluster.to_owned(), node: String::new(), lifetime };
    assert_eq!(reason(&admin.create_join_token(token("east", 60)).await.unwrap_err()), "cluster.unknown");
    admin.add_cluster(cluster("east")).await.unwrap();
    let mut bad = cluster("west");
    bad.jwks = b"{}".to_vec();
    assert_eq!(reason(&admin.add_cluster(bad).await.unwrap_err()), "cluster.invalid");
    let listed = admin.list_clusters(Empty {}).await.unwrap().into_inner().clusters;
    assert_eq!(listed.iter().map(|c| (c.id.as_str(), c.jwks.as_slice())).collect::<Vec<_>>(), [("east", KEY_SET)]);
    let made = admin.create_join_token(token("east", 60)).await.unwrap().into_inner();
    assert!(made.token.len() >= 64 && made.change.is_some());
    assert_eq!(reason(&admin.create_join_token(token("east", 86_401)).await.unwrap_err()), "join_token.lifetime");
    for name in ["nobody", "Not A Name"] {
        assert!(admin.get_node(Name { name: name.to_owned() }).await.is_err());
        assert!(admin.approve_node(Name { name: name.to_owned() }).await.is_err());
    }
}

#[tokio::test]
async fn each_change_is_an_entry_under_a_signed_checkpoint() {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    let put = put(&mut admin, "payments/db", b"value").await.unwrap();
    admin.add_cluster(cluster("east")).await.unwrap();
    let page = admin.list_log(LogRange { from: 0, count: 0 }).await.unwrap().into_inner();
    assert_eq!((page.size, page.entries.len()), (2, 2));
    let identity = admin.get_verifier(Empty {}).await.unwrap().into_inner();
    let (id, limits) = (verifier.installation.id, Limits::DEFAULT);
    let log_key = CertifiedKey::verify(&identity.log_key, &id, KeyUse::Log, None, &limits).unwrap();
    let checkpoint = Checkpoint::verify(&page.checkpoint, &id, log_key.as_bytes(), &mut Checks::owing(&[])).unwrap();
    let mut frontier = Frontier::default();
    for (index, stored) in page.entries.iter().enumerate() {
        assert_eq!(stored.index, index as u64);
        assert_eq!(Entry::decode(&stored.entry, &limits).unwrap().kind, EntryKind::Changed);
        frontier.append(leaf_hash(&stored.entry));
    }
    assert_eq!((checkpoint.size, checkpoint.root), (2, frontier.root()));

    let audit_id = AuditId { audit_id: put.change.unwrap().audit_id };
    let explained = admin.explain(audit_id.clone()).await.unwrap().into_inner();
    assert_eq!((explained.result.as_str(), explained.workload.as_str()), ("changed", "put-secret payments/db by admin ops"));
    assert_eq!((explained.secrets, explained.entry_index), (vec!["payments/db@1".to_owned()], Some(0)));
    let archive = admin.get_archive(audit_id).await.unwrap().into_inner();
    assert!(archive.objects.iter().any(|object| object.role == "change"));
    let unknown = AuditId { audit_id: "0".repeat(32) };
    assert_eq!(reason(&admin.explain(unknown).await.unwrap_err()), "audit.unknown");
}

#[tokio::test]
async fn changes_survive_a_stop() {
    let verifier = Installation::new("").start();
    put(&mut verifier.admin().await, "payments/db", b"value").await.unwrap();
    let (installation, code, log) = verifier.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"stopped\""), "{log}");
    let verifier = installation.start();
    let mut admin = verifier.admin().await;
    assert_eq!(put(&mut admin, "payments/db", b"value").await.unwrap().version, 2);
    assert_eq!(admin.list_log(LogRange { from: 1, count: 5 }).await.unwrap().into_inner().entries.len(), 1);
}

#[tokio::test]
async fn a_client_that_stays_does_not_hold_up_the_stop() {
    let verifier = Installation::new("").start();
    let address = verifier.address.strip_prefix("https://").unwrap().to_owned();
    // It never says a word, not even that it heard of the end.
    let silent = std::net::TcpStream::connect(address).unwrap();
    let admin = verifier.admin().await;
    let begun = std::time::Instant::now();
    let (_, code, log) = verifier.stop_while_clients_sleep();
    assert_eq!(code, Some(0), "{log}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    drop((silent, admin));
}

#[tokio::test]
async fn idle_memory_is_small() {
    let verifier = Installation::new("").start();
    put(&mut verifier.admin().await, "payments/db", b"value").await.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", verifier.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // The gate, held here even by an unoptimised build.
    assert!(kilobytes <= 30_000, "{line}");
    eprintln!("idle: {line}");
}
