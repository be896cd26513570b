//! Policy through the public interface: each attribute is decisive, each forbid of the baseline has an honest twin, and what cannot decide
//! is not taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "policy/apply.rs"]
mod apply;
#[path = "policy/attributes.rs"]
mod attributes;
#[path = "policy/baseline.rs"]
mod baseline;
#[path = "policy/drafts.rs"]
mod drafts;
#[path = "policy/folders.rs"]
mod folders;
#[path = "policy/refusals.rs"]
mod refusals;

use podseal_appraisal::check::Verdict;
use podseal_appraisal::claims::{Agent, Boot, Claim, EnvVar, Memory, Mount, NodeClaims, PodLog, RootKind, Sibling, WorkloadClaims};
use podseal_appraisal::policy::{Policy, PolicyLimits, PolicyOutcome, SecretMetadata};
use podseal_protocol::Digest;

const PERMIT: &str = r#"@id("everyone") permit (principal, action, resource == Secret::"payments/db");"#;

fn policy(text: &str) -> Policy {
    Policy::parse(text, &PolicyLimits::DEFAULT).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn secret() -> SecretMetadata {
    SecretMetadata::new("payments/db", ["host-trusted"]).unwrap()
}

/// A node with every claim appraised.
fn node() -> NodeClaims {
    NodeClaims {
        node: "node-1".into(),
        cluster: "demo".into(),
        profile: "tpm".into(),
        memory: Claim::Appraised(Memory::None),
        boot: Claim::Appraised(Boot::Kernel),
        tpm_in_tee: Claim::Appraised(true),
        agent: Claim::Appraised(Agent::SelfAsserted),
        root: Claim::Appraised(RootKind::Production),
        secure_boot: Claim::Appraised(true),
        pod_log: Claim::Appraised(PodLog::Observed),
        privileged_images: Claim::Appraised(vec![format!("sha256:{}", "44".repeat(32))]),
        pod_log_gaps: Claim::Appraised(0),
        agent_exceptions: Claim::Appraised(vec!["privileged-network".into()]),
    }
}

/// A workload with something in every list, and nothing that the baseline forbids.
fn workload() -> WorkloadClaims {
    WorkloadClaims {
        cluster: "demo".into(),
        namespace: "payments".into(),
        pod: "payment-api-0".into(),
        pod_uid: "0c3ab1d4".into(),
        service_account: "payment-api".into(),
        container: "api".into(),
        image: Digest([0xaa; 32]),
        image_config: Digest([0xbb; 32]),
        launcher: Digest([0xcc; 32]),
        args: vec!["/podseal/launch".into(), "--".into(), "/app \"x\"".into()],
        env: vec![EnvVar { name: "PATH".into(), value: Digest([0x11; 32]) }],
        mounts: vec![Mount { destination: "/podseal".into(), kind: "podseal".into(), read_only: true }],
        devices: vec!["/dev/null".into()],
        cwd: "/srv".into(),
        hooks: 0,
        uid: 1000,
        gid: 1001,
        capabilities: vec!["CAP_CHOWN".into()],
        privileged: false,
        host_network: false,
        host_pid: false,
        host_ipc: false,
        shared_pid: false,
        read_only_root: true,
        no_new_privileges: true,
        siblings: vec![Sibling { name: "proxy".into(), image: Digest([0xdd; 32]), privileged: false }],
        token_names_node: Claim::Appraised(true),
        pod_execs: Claim::Appraised(0),
    }
}

/// Names of the rules that ended with a verdict.
fn rules(outcome: &PolicyOutcome, verdict: Verdict) -> Vec<&'static str> {
    outcome.checks.iter().filter(|check| check.verdict == verdict).map(|check| check.rule.name).collect()
}
