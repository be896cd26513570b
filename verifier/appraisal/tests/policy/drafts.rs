//! A drafted permit compiles, holds for what it was drafted from, and for nothing else.

use super::*;
use podseal_appraisal::policy::draft;

fn drafted(node: &NodeClaims, workload: &WorkloadClaims) -> Policy {
    policy(&draft(&["payments/db".to_owned(), "payments/tls".to_owned()], node, workload))
}

#[test]
fn draft_holds_for_what_it_was_drafted_from() {
    let policy = drafted(&node(), &workload());
    assert_eq!(policy.secrets(), ["payments/db", "payments/tls"]);
    let outcome = policy.decide(&node(), &workload(), &secret());
    assert!(outcome.allowed(), "{:?}", outcome.obstacles);
    // The next pod of the same workload.
    let other = WorkloadClaims { pod: "payment-api-1".into(), pod_uid: "1".into(), ..workload() };
    assert!(policy.decide(&node(), &other, &secret()).allowed());
}

#[test]
fn draft_of_awkward_text_compiles() {
    let awkward = "a\"b\\c\n'é\0";
    let workload = WorkloadClaims { args: vec![awkward.into()], cwd: awkward.into(), siblings: vec![], devices: vec![], ..workload() };
    let outcome = drafted(&node(), &workload).decide(&node(), &workload, &secret());
    assert!(outcome.allowed(), "{:?}", outcome.obstacles);
}

#[test]
fn draft_leaves_out_what_was_not_appraised() {
    let node = NodeClaims { secure_boot: Claim::NotAppraised("no event"), ..node() };
    let workload = WorkloadClaims { token_names_node: Claim::NotAppraised("an older cluster"), ..workload() };
    let text = draft(&["payments/db".to_owned()], &node, &workload);
    assert!(!text.contains("secure_boot") && !text.contains("token_names_node"), "{text}");
    let outcome = policy(&text).decide(&node, &workload, &secret());
    assert!(outcome.allowed(), "{:?}", outcome.obstacles);
}

/// A node may begin to keep a pod log, and what went by then is no reason to refuse.
#[test]
fn draft_asks_for_no_log_that_was_not_kept() {
    let none = NodeClaims { pod_log: Claim::Appraised(PodLog::None), ..node() };
    let text = draft(&["payments/db".to_owned()], &none, &WorkloadClaims { pod_execs: Claim::NotAppraised("no log"), ..workload() });
    assert!(!text.contains("pod_log") && !text.contains("privileged_images") && !text.contains("pod_execs"), "{text}");
    assert!(!text.contains("agent_exceptions"), "{text}");
    let text = draft(&["payments/db".to_owned()], &NodeClaims { pod_log_gaps: Claim::Appraised(2), ..node() }, &workload());
    assert!(text.contains("context.pod_log == \"observed\"") && !text.contains("pod_log_gaps"), "{text}");
}

#[test]
fn draft_holds_for_nothing_else() {
    let policy = drafted(&node(), &workload());
    let right = workload();
    let mut path = right.env.clone();
    path[0].value = Digest([0x12; 32]);
    let variable = EnvVar { name: "DEBUG".into(), value: Digest([0; 32]) };
    let mount = Mount { destination: "/tmp".into(), kind: "emptyDir".into(), read_only: false };
    let sibling = Sibling { name: "debug".into(), image: Digest([0; 32]), privileged: false };
    let others = [
        ("cluster", WorkloadClaims { cluster: "other".into(), ..right.clone() }),
        ("namespace", WorkloadClaims { namespace: "other".into(), ..right.clone() }),
        ("service_account", WorkloadClaims { service_account: "default".into(), ..right.clone() }),
        ("container", WorkloadClaims { container: "other".into(), ..right.clone() }),
        ("pod_execs", WorkloadClaims { pod_execs: Claim::Appraised(1), ..right.clone() }),
        ("token_names_node", WorkloadClaims { token_names_node: Claim::Appraised(false), ..right.clone() }),
        ("image", WorkloadClaims { image: Digest([1; 32]), ..right.clone() }),
        ("launcher", WorkloadClaims { launcher: Digest([1; 32]), ..right.clone() }),
        ("args", WorkloadClaims { args: vec!["/bin/sh".into()], ..right.clone() }),
        ("cwd", WorkloadClaims { cwd: "/".into(), ..right.clone() }),
        ("env_names", WorkloadClaims { env: [right.env.clone(), vec![variable]].concat(), ..right.clone() }),
        ("env", WorkloadClaims { env: path, ..right.clone() }),
        ("mounts", WorkloadClaims { mounts: [right.mounts.clone(), vec![mount]].concat(), ..right.clone() }),
        ("devices", WorkloadClaims { devices: vec!["/dev/mem".into()], ..right.clone() }),
        ("siblings", WorkloadClaims { siblings: [right.siblings.clone(), vec![sibling]].concat(), ..right.clone() }),
        ("uid", WorkloadClaims { uid: 0, ..right.clone() }),
        ("gid", WorkloadClaims { gid: 0, ..right.clone() }),
        ("capabilities", WorkloadClaims { capabilities: vec!["CAP_SYS_PTRACE".into()], ..right.clone() }),
        ("privileged", WorkloadClaims { privileged: true, ..right.clone() }),
        ("host_network", WorkloadClaims { host_network: true, ..right.clone() }),
        ("host_pid", WorkloadClaims { host_pid: true, ..right.clone() }),
        ("host_ipc", WorkloadClaims { host_ipc: true, ..right.clone() }),
        ("shared_pid_namespace", WorkloadClaims { shared_pid: true, ..right.clone() }),
        ("read_only_root", WorkloadClaims { read_only_root: false, ..right.clone() }),
        ("no_new_privileges", WorkloadClaims { no_new_privileges: false, ..right.clone() }),
        ("hooks", WorkloadClaims { hooks: 1, ..right.clone() }),
    ];
    for (attribute, other) in others {
        let obstacles = policy.decide(&node(), &other, &secret()).obstacles;
        assert!(obstacles.contains(&format!("principal.{attribute}")), "{attribute}: {obstacles:?}");
    }
    for (attribute, other) in [
        ("boot", NodeClaims { boot: Claim::Appraised(Boot::Firmware), ..node() }),
        ("profile", NodeClaims { profile: "sev-snp".into(), ..node() }),
        ("secure_boot", NodeClaims { secure_boot: Claim::Appraised(false), ..node() }),
        ("pod_log", NodeClaims { pod_log: Claim::Appraised(PodLog::None), ..node() }),
        ("privileged_images", NodeClaims { privileged_images: Claim::Appraised(vec!["docker.io/library/debug".into()]), ..node() }),
        (
            "agent_exceptions",
            NodeClaims { agent_exceptions: Claim::Appraised(vec!["landlock".into(), "privileged-network".into()]), ..node() },
        ),
        ("pod_log_gaps", NodeClaims { pod_log_gaps: Claim::Appraised(1), ..node() }),
    ] {
        let obstacles = policy.decide(&other, &workload(), &secret()).obstacles;
        assert!(obstacles.contains(&format!("context.{attribute}")), "{attribute}: {obstacles:?}");
    }
}
