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
pub(crate) fn describe(site: &Site, nodes: [&Node; 2], pod: &Launched<'_>, client: &Path, socket: &Path) -> Result<Value, BenchError> {
    let verifier = site.verifier();
    Ok(json!({
        "holder": { "pid": std::process::id(), "socket": socket },
        "podseal": binaries::program("podseal")?,
        "playground": binaries::program("podseal-playground")?,
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
        "node": of_node(nodes[0]),
        "second_node": of_node(nodes[1]),
        "pod": {
            "namespace": "payments",
            "container_id": pod.container.id(),
            "audit_id": pod.released_as()?,
        },
    }))
}

fn of_node(node: &Node) -> Value {
    let (machine, runtime) = (node.machine(), node.runtime());
    json!({
        "name": node.name(),
        "uid": machine.uid(),
        "config": node.config(),
        "attester": binaries::program("podseal-node-attester").ok(),
        "attester_pid": node.attester().pid(),
        "log": node.attester().log_path(),
        "pod_log": machine.pod_log(),
        "boot_id": machine.boot_id(),
        "tpm_port": machine.tpm().port(),
        "tcti": machine.tpm().tcti(),
        "tpm_pid": machine.tpm().pid(),
        "tpm_state": machine.tpm().state(),
        "event_log": machine.event_log(),
        "runtime_socket": runtime.socket(),
        "containerd_pid": runtime.pid(),
        "workload_directory": node.published(),
    })
}

/// Says where it stands, and six commands to try.
pub(crate) fn print(playground: &Value, file: &Path) {
    let word = |path: &str| playground.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let podseal = format!("{} --config {}", word("/podseal"), word("/client_config"));
    println!("playground: verifier {} at {}", word("/verifier/id"), word("/verifier/address"));
    println!("playground: everything else stands in {}; `make playground-down` ends it\n\nSix commands to try:", file.display());
    println!("  {podseal} status");
    println!("  {podseal} log list");
    println!("  {podseal} explain {} --all", word("/pod/audit_id"));
    println!("  {podseal} audit recheck --all");
    println!("  {} pod {}", word("/playground"), word("/second_node/name"));
    println!(
        "  ctr --address {} --namespace k8s.io tasks exec --exec-id try-1 {} /podseal/launch --verifier {} -- /payment-api",
        word("/node/runtime_socket"),
        word("/pod/container_id"),
        word("/verifier/id")
    );
}
