//! `playground.json`, and what is said about it. docs/OPERATING.md describes its keys.

use std::path::Path;

use podseal_swtpm_tests::binaries;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::site::{Launched, Node, Site};
use serde_json::{Value, json};

/// The client configuration of the first administrator.
pub(crate) fn client(site: &Site) -> String {
    let verifier = site.verifier();
    format!(
        "[verifier]\naddress = \"{}\"\nid = \"{}\"\n\n[admin]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        verifier.address(),
        verifier.id(),
        verifier.admin_certificate().display(),
        verifier.admin_key().display()
    )
}

/// Everything that one needs to look at a running playground.
pub(crate) fn describe(site: &Site, node: &Node, pod: &Launched<'_>, client: &Path) -> Result<Value, BenchError> {
    let verifier = site.verifier();
    Ok(json!({
        "holder": { "pid": std::process::id() },
        "podseal": binaries::program("podseal")?,
        "client_config": client,
        "verifier": {
            "address": verifier.address(),
            "id": verifier.id(),
            "pid": verifier.daemon().pid(),
            "config": verifier.config(),
            "database": verifier.database(),
            "archive": verifier.archive(),
            "kek": verifier.kek(),
            "log": verifier.daemon().log_path(),
        },
        "admin": { "certificate": verifier.admin_certificate(), "key": verifier.admin_key() },
        "ca": site.ca().root_pem(),
        "cluster": {
            "id": site.cluster().id(),
            "issuer": site.cluster().url(),
            "jwks": site.cluster().issuer().jwks(),
            "token_socket": site.cluster().issuer().socket(),
            "pid": site.cluster().issuer().pid(),
        },
        "node": {
            "name": node.name(),
            "uid": node.machine().uid(),
            "config": node.config(),
            "attester_pid": node.attester().pid(),
            "log": node.attester().log_path(),
            "tpm_port": node.machine().tpm().port(),
            "tcti": node.machine().tpm().tcti(),
            "tpm_pid": node.machine().tpm().pid(),
            "event_log": node.machine().event_log(),
            "runtime_socket": node.runtime().socket(),
            "containerd_pid": node.runtime().pid(),
            "workload_directory": node.published(),
        },
        "pod": {
            "namespace": "payments",
            "container_id": pod.container.id(),
            "audit_id": pod.released_as()?,
        },
    }))
}

/// Says where it stands, and five commands to try.
pub(crate) fn print(playground: &Value, file: &Path) {
    let word = |path: &str| playground.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let podseal = format!("{} --config {}", word("/podseal"), word("/client_config"));
    println!("playground: verifier {} at {}", word("/verifier/id"), word("/verifier/address"));
    println!("playground: everything else stands in {}; `make playground-down` ends it\n\nFive commands to try:", file.display());
    println!("  {podseal} status");
    println!("  {podseal} log list");
    println!("  {podseal} explain {} --all", word("/pod/audit_id"));
    println!("  {podseal} audit recheck --all");
    println!(
        "  ctr --address {} --namespace k8s.io tasks exec --exec-id try-1 {} /podseal/launch --verifier {} -- /payment-api",
        word("/node/runtime_socket"),
        word("/pod/container_id"),
        word("/verifier/id")
    );
}
