//! Every forbid of the baseline: an honest twin that gets the secret, and the attack that does not.

use super::*;
use podseal_appraisal::policy::{ACCEPTS, BASELINE};
use std::collections::BTreeSet;

struct Attack {
    forbid: &'static str,
    attribute: &'static str,
    accept: Option<&'static str>,
    make: fn(&mut NodeClaims, &mut WorkloadClaims),
}

fn variable(workload: &mut WorkloadClaims, name: &str) {
    workload.env.push(EnvVar { name: name.into(), value: Digest([9; 32]) });
}

const ATTACKS: &[Attack] = &[
    Attack {
        forbid: "cluster-of-other-node",
        attribute: "principal.cluster",
        accept: None,
        make: |_, workload| workload.cluster = "staging".into(),
    },
    Attack { forbid: "agent-self-asserted", attribute: "context.agent", accept: Some("host-trusted"), make: |_, _| {} },
    Attack {
        forbid: "test-root",
        attribute: "context.root",
        accept: Some("test-root"),
        make: |node, _| node.root = Claim::Appraised(RootKind::Test),
    },
    Attack {
        forbid: "no-pod-log",
        attribute: "context.pod_log",
        accept: Some("no-pod-log"),
        make: |node, _| node.pod_log = Claim::Appraised(PodLog::None),
    },
    Attack { forbid: "boot-unmeasured", attribute: "context.boot", accept: None, make: |node, _| node.boot = Claim::Appraised(Boot::None) },
    Attack { forbid: "privileged", attribute: "principal.privileged", accept: None, make: |_, workload| workload.privileged = true },
    Attack { forbid: "host-pid", attribute: "principal.host_pid", accept: None, make: |_, workload| workload.host_pid = true },
    Attack { forbid: "host-network", attribute: "principal.host_network", accept: None, make: |_, workload| workload.host_network = true },
    Attack { forbid: "host-ipc", attribute: "principal.host_ipc", accept: None, make: |_, workload| workload.host_ipc = true },
    Attack {
        forbid: "shared-pid-namespace",
        attribute: "principal.shared_pid_namespace",
        accept: Some("shared-pid-namespace"),
        make: |_, workload| workload.shared_pid = true,
    },
    Attack {
        forbid: "loader-environment",
        attribute: "principal.env_names",
        accept: Some("loader-environment"),
        make: |_, workload| variable(workload, "LD_PRELOAD"),
    },
    Attack {
        forbid: "interpreter-environment",
        attribute: "principal.env_names",
        accept: Some("interpreter-environment"),
        make: |_, workload| variable(workload, "NODE_OPTIONS"),
    },
    Attack { forbid: "oci-hooks", attribute: "principal.hooks", accept: Some("oci-hooks"), make: |_, workload| workload.hooks = 1 },
];

/// The node's agent is never measured yet, so that every other case accepts that by name.
fn accepting(word: Option<&str>, of: &Attack) -> SecretMetadata {
    let host = (of.accept != Some("host-trusted")).then_some("host-trusted");
    SecretMetadata::new("payments/db", host.into_iter().chain(word)).unwrap()
}

fn ids(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("@id(\"")?.strip_suffix("\")")).collect()
}

#[test]
fn every_forbid_has_a_case() {
    assert_eq!(ids(BASELINE), ATTACKS.iter().map(|attack| attack.forbid).collect());
    assert_eq!(BASELINE.matches("forbid (principal").count(), ATTACKS.len());
}

#[test]
fn every_word_gives_way_to_its_forbid_only() {
    let known: BTreeSet<&str> = ACCEPTS.iter().map(|accept| accept.word).collect();
    assert_eq!(known, ATTACKS.iter().filter_map(|attack| attack.accept).collect());
    let used: BTreeSet<&str> = BASELINE.split("accepts.contains(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(known, used);
}

#[test]
fn honest_twin_is_released() {
    let outcome = policy(PERMIT).decide(&node(), &workload(), &secret());
    assert!(outcome.allowed(), "{:#?}", outcome.checks);
}

#[test]
fn attack_is_refused_by_its_forbid() {
    for attack in ATTACKS {
        let (mut node, mut workload) = (node(), workload());
        (attack.make)(&mut node, &mut workload);
        let outcome = policy(PERMIT).decide(&node, &workload, &accepting(None, attack));
        assert!(!outcome.allowed(), "{}", attack.forbid);
        let failed: Vec<_> = outcome.checks.iter().filter(|c| c.verdict != Verdict::Pass).collect();
        let [check] = failed.as_slice() else { panic!("{}: {failed:#?}", attack.forbid) };
        assert_eq!(check.rule.name, "policy.forbid");
        assert!(check.origin.starts_with("baseline.cedar:") && check.origin.ends_with(&format!(" @{}", attack.forbid)), "{check:?}");
        assert!(check.expected.contains(attack.attribute) && check.found.contains(attack.attribute), "{check:?}");
        assert!(check.expected.len() > 60, "no remedy: {check:?}");
        assert_eq!(outcome.obstacles[0], attack.forbid);
        assert!(outcome.obstacles.iter().any(|name| name == attack.attribute));
    }
}

#[test]
fn owner_may_accept_by_name() {
    for attack in ATTACKS {
        let Some(word) = attack.accept else { continue };
        let (mut node, mut workload) = (node(), workload());
        (attack.make)(&mut node, &mut workload);
        let outcome = policy(PERMIT).decide(&node, &workload, &accepting(Some(word), attack));
        assert!(outcome.allowed(), "{}: {:#?}", attack.forbid, outcome.checks);
    }
}

#[test]
fn every_other_word_does_not_help() {
    for attack in ATTACKS {
        let others = ACCEPTS.iter().map(|accept| accept.word).filter(|word| Some(*word) != attack.accept);
        let (mut node, mut workload) = (node(), workload());
        (attack.make)(&mut node, &mut workload);
        let outcome = policy(PERMIT).decide(&node, &workload, &SecretMetadata::new("payments/db", others).unwrap());
        assert_eq!(outcome.determining, [attack.forbid, "everyone"].into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        assert!(!outcome.allowed(), "{}", attack.forbid);
    }
}

#[test]
fn every_listed_variable_is_refused() {
    let lists = BASELINE.split("when {\n    [").skip(1).filter_map(|rest| rest.split(']').next());
    let names: Vec<&str> = lists.flat_map(|list| list.split('"').skip(1).step_by(2)).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let mut workload = workload();
        variable(&mut workload, name);
        assert!(!policy(PERMIT).decide(&node(), &workload, &secret()).allowed(), "{name}");
    }
}

#[test]
fn unknown_accept_is_refused() {
    let error = SecretMetadata::new("payments/db", ["host-trusted", "everything"]).unwrap_err();
    assert_eq!(error.word, "everything");
    assert!(error.to_string().contains("host-trusted, "), "{error}");
}
