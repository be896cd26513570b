//! Every online command against a real verifier.

use std::{fs, path::Path};

use podseal_protocol::Digest;

use crate::{program::podseal, verifier::Verifier};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/examples/payments");

/// A set of one EC key, as a cluster publishes it (RFC 7517, appendix A.1).
const JWKS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

const REFERENCE: &str = "name = \"golden\"\nexpires = 2099-01-01T00:00:00Z\n[pcr]\n0 = \
                         \"0000000000000000000000000000000000000000000000000000000000000000\"\n";

/// Makes a change of each kind, and returns how many entries that is.
fn change_everything(verifier: &Verifier) -> u64 {
    let jwks = verifier.write("jwks.json", JWKS);
    let reference = verifier.write("golden.toml", REFERENCE.as_bytes());
    let put = verifier.podseal_with(&["secret", "put", "payments/db", "--accept", "test-root,host-trusted"], b"hunter2");
    assert!(put.exits(0).out.starts_with("payments/db v1 put"));
    verifier.json(&["secret", "generate", "payments/api", "--length", "40"]);
    verifier.json(&["cluster", "add", "demo", "--issuer", "https://issuer.demo", "--jwks", &jwks]);
    verifier.json(&["policy", "apply", POLICY]);
    verifier.json(&["reference", "apply", &reference]);
    verifier.json(&["node", "join-token", "--cluster", "demo", "--node", "node-1", "--lifetime", "10m"]);
    6
}

#[test]
fn what_is_put_is_listed_and_deleted() {
    let Some(verifier) = Verifier::start() else { return };
    change_everything(&verifier);
    let file = verifier.write("value", &vec![0xa5; 65_536]);
    assert_eq!(verifier.json(&["secret", "put", "payments/db", "--file", &file])["version"], 2);

    let secrets = verifier.json(&["secret", "list"]);
    let names: Vec<_> = secrets["secrets"].as_array().unwrap().iter().map(|s| (s["name"].as_str().unwrap(), &s["version"])).collect();
    assert_eq!(names, [("payments/api", &1.into()), ("payments/db", &2.into())]);
    // A new value without any word is no new judgement of its owner; another word is.
    assert_eq!(secrets["secrets"][1]["accepts"], serde_json::json!(["host-trusted", "test-root"]));
    verifier.json(&["secret", "put", "--accept", "test-root", "payments/db", "--file", &file]);
    assert_eq!(verifier.json(&["secret", "list"])["secrets"][1]["accepts"], serde_json::json!(["test-root"]));
    let table = verifier.podseal(&["secret", "list"]).exits(0).out;
    assert!(table.starts_with("NAME") && table.contains("payments/db   v3"), "{table}");

    verifier.podseal(&["secret", "delete", "payments/db"]).exits(0);
    verifier.podseal(&["secret", "delete", "payments/db"]).exits(5).says(&["no secret of this name"]);
    assert_eq!(verifier.json(&["secret", "list"])["secrets"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_applied_is_shown_byte_for_byte() {
    let Some(verifier) = Verifier::start() else { return };
    verifier.podseal(&["policy", "show"]).exits(5).says(&["podseal policy apply"]);
    change_everything(&verifier);
    let policy = fs::read_to_string(Path::new(POLICY).join("policy.cedar")).unwrap();
    assert_eq!(verifier.podseal(&["policy", "show"]).exits(0).out, policy);
    assert_eq!(verifier.json(&["policy", "show"])["digest"], Digest::of(policy.as_bytes()).to_string());
    assert_eq!(verifier.podseal(&["reference", "show", "golden"]).exits(0).out, REFERENCE);
    assert_eq!(verifier.json(&["reference", "show"])["references"][0]["registers"], serde_json::json!([0]));
    verifier.podseal(&["reference", "show", "other"]).exits(5).says(&["other"]);

    let cluster = &verifier.json(&["cluster", "list"])["clusters"][0];
    assert_eq!((&cluster["id"], &cluster["tokens_without_node"]), (&"demo".into(), &false.into()));
    assert_eq!(cluster["jwks_sha256"], Digest::of(JWKS).to_string());
    assert_eq!(cluster["kubelet_directory"], "/var/lib/kubelet");
    verifier.podseal(&["node", "join-token", "--cluster", "other"]).exits(5).says(&["podseal cluster add"]);
    assert_eq!(verifier.json(&["node", "list"])["nodes"], serde_json::json!([]));
    verifier.podseal(&["node", "show", "node-9"]).exits(5);
    verifier.podseal(&["node", "approve", "node-9"]).exits(5);
    let broken = verifier.write("broken.json", b"{}");
    let add = ["cluster", "add", "other", "--issuer", "https://other", "--jwks", &broken];
    verifier.podseal(&add).exits(4).says(&["refused"]);
}

#[test]
fn log_verifies_and_everything_rechecks() {
    let Some(verifier) = Verifier::start() else { return };
    assert!(verifier.podseal(&["status"]).exits(0).out.contains("log 0 entries"));
    assert!(verifier.podseal(&["log", "verify"]).exits(0).out.starts_with("VERIFIED  0 entries"));
    let entries = change_everything(&verifier);
    let note = verifier.path("checkpoint");
    let verified = verifier.json(&["log", "verify", "-o", &note]);
    assert_eq!((&verified["verified"], &verified["size"], &verified["changed"]), (&true.into(), &entries.into(), &entries.into()));

    verifier.json(&["secret", "generate", "payments/more"]);
    let text = verifier.podseal(&["log", "verify", "--checkpoint-file", &note]).exits(0).out;
    for part in ["VERIFIED  7 entries", "12 of 12 checks passed", "ok  log.earlier_root"] {
        assert!(text.contains(part), "{text}");
    }
    let list = verifier.json(&["log", "list", "--from", "2", "--count", "3"]);
    let found: Vec<_> = list["entries"].as_array().unwrap().iter().map(|entry| entry["index"].as_u64().unwrap()).collect();
    assert_eq!(found, [2, 3, 4]);
    let newest = verifier.json(&["log", "list", "--count", "1"]);
    assert_eq!((&newest["entries"][0]["index"], &newest["entries"][0]["kind"]), (&6.into(), &"changed".into()));

    let audit_id = newest["entries"][0]["audit_id"].as_str().unwrap();
    assert_eq!(verifier.json(&["audit", "recheck", audit_id])["entries"][0]["result"], "unchanged");
    let all = verifier.json(&["audit", "recheck", "--all"]);
    assert_eq!((&all["holds"], &all["changes"], &all["decisions"]), (&true.into(), &7.into(), &0.into()));
    let explained = verifier.podseal(&["explain", audit_id]).exits(0).out;
    assert!(explained.starts_with("CHANGED ") && explained.contains("put-secret payments/more"), "{explained}");
    for unknown in [["explain", "01NOBODY"].as_slice(), &["audit", "recheck", "01NOBODY"]] {
        verifier.podseal(unknown).exits(5).says(&["podseal log list"]);
    }
}

/// Every field that a program can meet stands in the README, in the row of its command.
#[test]
fn json_fields_are_documented() {
    let Some(verifier) = Verifier::start() else { return };
    change_everything(&verifier);
    let readme = include_str!("../../README.md");
    let newest = verifier.json(&["log", "list", "--count", "1"]);
    let audit_id = newest["entries"][0]["audit_id"].as_str().unwrap();
    let calls: &[(&str, &[&str])] = &[
        ("secret generate", &["secret", "generate", "payments/db"]),
        ("secret list", &["secret", "list"]),
        ("secret delete", &["secret", "delete", "payments/db"]),
        ("policy test", &["policy", "test", POLICY]),
        ("policy apply", &["policy", "apply", POLICY]),
        ("policy show", &["policy", "show"]),
        ("cluster list", &["cluster", "list"]),
        ("node join-token", &["node", "join-token", "--cluster", "demo"]),
        ("reference show NAME", &["reference", "show", "golden"]),
        ("explain", &["explain", audit_id]),
        ("log list", &["log", "list"]),
        ("log verify", &["log", "verify"]),
        ("audit recheck", &["audit", "recheck", "--all"]),
        ("verifier show", &["verifier", "show"]),
    ];
    for (command, arguments) in calls {
        let mut rows = readme.lines().filter(|line| line.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{command}`"))));
        let row = rows.next().expect(command);
        let answer = verifier.json(arguments);
        for (field, value) in answer.as_object().unwrap() {
            assert!(row.contains(&format!("`{field}`")), "{command}: {field}");
            let inner = value.as_array().and_then(|list| list.first()).and_then(serde_json::Value::as_object);
            for field in inner.into_iter().filter(|_| field != "checks").flat_map(serde_json::Map::keys) {
                assert!(row.contains(&format!("`{field}`")), "{command}: {field}");
            }
        }
    }
}

#[test]
fn log_of_another_verifier_does_not_continue_an_earlier_checkpoint() {
    let (Some(verifier), Some(other)) = (Verifier::start(), Verifier::start()) else { return };
    change_everything(&verifier);
    change_everything(&other);
    let note = verifier.path("checkpoint");
    verifier.podseal(&["log", "verify", "-o", &note]).exits(0);
    // Another verifier's log is none that this checkpoint could be the beginning of; and a failure leaves the old checkpoint in place.
    let before = fs::read(&note).unwrap();
    let ran = other.podseal(&["log", "verify", "--checkpoint-file", &note, "-o", &note]).exits(1);
    assert!(ran.out.starts_with("DOES NOT VERIFY") && ran.out.contains("x   checkpoint.signature"), "{}", ran.out);
    assert_eq!(fs::read(&note).unwrap(), before);
}

#[test]
fn archived_object_that_is_missing_is_noticed() {
    let Some(verifier) = Verifier::start() else { return };
    change_everything(&verifier);
    let archive = verifier.folder.path().join("data/archive");
    let shelf = fs::read_dir(&archive).unwrap().map(|shelf| shelf.unwrap().path()).find(|path| path.is_dir()).unwrap();
    fs::remove_dir_all(shelf).unwrap();
    let ran = verifier.podseal(&["audit", "recheck", "--all", "--output", "json"]).exits(1).json();
    let entries = ran["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &ran["holds"]), (6, &false.into()), "the others are still rechecked");
    let lost = entries.iter().find(|entry| entry["result"] == "not-rechecked").unwrap();
    assert!(lost["checks"].as_array().unwrap().iter().any(|c| c["name"] == "recheck.objects" && c["verdict"] == "not-appraised"));
}

#[test]
fn only_the_pinned_verifier_is_spoken_to_and_only_an_administrator_is_heard() {
    let Some(verifier) = Verifier::start() else { return };
    let with = |client: &str| podseal(&["secret", "list", "--config", &verifier.path(client)]);
    let shown = verifier.json(&["verifier", "show"]);
    assert_eq!((&shown["id"], &shown["address"]), (&verifier.id.as_str().into(), &verifier.address.as_str().into()));

    verifier.write_client("other.toml", &"3f".repeat(32), "");
    with("other.toml").exits(3).says(&[&verifier.id, "pinned is 3f3f"]);
    verifier.write_client("anonymous.toml", &verifier.id, "");
    with("anonymous.toml").exits(4).says(&["[[admin]]"]);

    // A key that nobody configured: the verifier of another folder made it.
    let Some(stranger) = Verifier::start() else { return };
    let path = |name| stranger.path(&format!("data/admin/{name}"));
    let files = format!("[admin]\ncertificate = \"{}\"\nkey = \"{}\"\n", path("admin.cert.pem"), path("admin.key.pem"));
    verifier.write_client("stranger.toml", &verifier.id, &files);
    with("stranger.toml").exits(4).says(&["[[admin]]"]);
}
