//! A permit that describes exactly what asked: where an operator begins, instead of at an empty file.
//!
//! Whatever differs from start to start of the same pod is left out (its name and uid). Everything else that a policy can speak about is in
//! it, so that taking a line away is a decision which a reviewer sees.

use std::fmt::Write as _;

use crate::claims::{Claim, NodeClaims, PodLog, WorkloadClaims};

/// The text of one permit for each secret, in the order given. It compiles, and holds for these claims.
#[must_use]
pub fn draft(secrets: &[String], node: &NodeClaims, workload: &WorkloadClaims) -> String {
    let mut text = String::new();
    for (index, secret) in secrets.iter().enumerate() {
        let id: String = secret.replace('/', "-").chars().take(56).collect();
        let _ = writeln!(text, "@id(\"{id}-{}\")", index + 1);
        let _ = writeln!(text, "permit (principal, action == Action::\"release\", resource == Secret::{})", quoted(secret));
        for block in [identity(workload), program(workload), surroundings(workload), rights(workload), machine(node)] {
            let _ = writeln!(text, "when {{\n    {}\n}}", block.join(" &&\n    "));
        }
        // The last condition ends the statement.
        text.truncate(text.trim_end().len());
        text.push_str(";\n");
    }
    text
}

fn identity(w: &WorkloadClaims) -> Vec<String> {
    let mut block = vec![
        format!("principal.cluster == {}", quoted(&w.cluster)),
        format!("principal.namespace == {}", quoted(&w.namespace)),
        format!("principal.service_account == {}", quoted(&w.service_account)),
        format!("principal.container == {}", quoted(&w.container)),
    ];
    block.extend(flag("principal.token_names_node", &w.token_names_node));
    block
}

fn program(w: &WorkloadClaims) -> Vec<String> {
    vec![
        format!("principal.image == \"sha256:{}\"", w.image),
        format!("principal.launcher == \"sha256:{}\"", w.launcher),
        format!("principal.args == {}", quoted(&serde_json::Value::from(w.args.clone()).to_string())),
        format!("principal.cwd == {}", quoted(&w.cwd)),
    ]
}

fn surroundings(w: &WorkloadClaims) -> Vec<String> {
    let mut names: Vec<String> = w.env.iter().map(|var| quoted(&var.name)).collect();
    names.dedup();
    let mut block = vec![at_most("principal.env_names", &names)];
    // Where a program is named without a slash, this value says which one runs.
    let path = w.env.iter().filter(|var| var.name == "PATH");
    block.extend(path.map(|var| format!("principal.env.contains({{ name: \"PATH\", value: \"sha256:{}\" }})", var.value)));
    let mounts = w
        .mounts
        .iter()
        .map(|m| format!("{{ destination: {}, kind: {}, read_only: {} }}", quoted(&m.destination), quoted(&m.kind), m.read_only));
    block.push(at_most("principal.mounts", &mounts.collect::<Vec<_>>()));
    block.push(at_most("principal.devices", &w.devices.iter().map(|path| quoted(path)).collect::<Vec<_>>()));
    let siblings =
        w.siblings.iter().map(|s| format!("{{ name: {}, image: \"sha256:{}\", privileged: {} }}", quoted(&s.name), s.image, s.privileged));
    block.push(at_most("principal.siblings", &siblings.collect::<Vec<_>>()));
    block
}

fn rights(w: &WorkloadClaims) -> Vec<String> {
    let truth = |name: &str, holds: bool| format!("{}principal.{name}", if holds { "" } else { "!" });
    let mut block = vec![
        format!("principal.uid == {}", w.uid),
        format!("principal.gid == {}", w.gid),
        at_most("principal.capabilities", &w.capabilities.iter().map(|name| quoted(name)).collect::<Vec<_>>()),
        truth("privileged", w.privileged),
        truth("host_network", w.host_network),
        truth("host_pid", w.host_pid),
        truth("host_ipc", w.host_ipc),
        truth("shared_pid_namespace", w.shared_pid),
        truth("read_only_root", w.read_only_root),
        truth("no_new_privileges", w.no_new_privileges),
        format!("principal.hooks == {}", w.hooks),
    ];
    block.extend(none("principal.pod_execs", &w.pod_execs));
    block
}

fn machine(node: &NodeClaims) -> Vec<String> {
    let mut block = vec![format!("context.profile == {}", quoted(&node.profile))];
    block.extend(node.boot.appraised().map(|boot| format!("context.boot == \"{}\"", boot.as_str())));
    block.extend(flag("context.secure_boot", &node.secure_boot));
    // A node that keeps no pod log may begin to: that it keeps none is nothing to ask for.
    if node.pod_log.appraised() == Some(&PodLog::Observed) {
        block.push("context.pod_log == \"observed\"".to_owned());
        for (attribute, claim) in
            [("context.privileged_images", &node.privileged_images), ("context.agent_exceptions", &node.agent_exceptions)]
        {
            block.extend(claim.appraised().map(|all| at_most(attribute, &all.iter().map(|name| quoted(name)).collect::<Vec<_>>())));
        }
        block.extend(none("context.pod_log_gaps", &node.pod_log_gaps));
    }
    block
}

/// A number that is demanded where it is zero; where it is not, the next start has another.
fn none(attribute: &str, claim: &Claim<u64>) -> Option<String> {
    claim.appraised().filter(|count| **count == 0).map(|_| format!("{attribute} == 0"))
}

/// An attribute that a policy can only demand where it was appraised.
fn flag(attribute: &str, claim: &Claim<bool>) -> Option<String> {
    claim.appraised().map(|holds| format!("{}{attribute}", if *holds { "" } else { "!" }))
}

/// What asks may have fewer, never others: the form of which a refusal shows what is not covered.
fn at_most(attribute: &str, values: &[String]) -> String {
    match values {
        [] => format!("{attribute}.isEmpty()"),
        values => format!("[\n        {}\n    ].containsAll({attribute})", values.join(",\n        ")),
    }
}

/// A Cedar string: its escapes are those of Rust.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}
