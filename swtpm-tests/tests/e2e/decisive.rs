//! Each attribute of the schema decides: one wrong value in the policy, and the running verifier refuses and names just that attribute.

use std::collections::BTreeSet;

use podseal_swtpm_tests::binaries::repository;
use podseal_swtpm_tests::site::{Counterfeit, Permit, Site, Workload};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("each_policy_attribute_is_decisive", each_policy_attribute_is_decisive)];

const TEXTS: [&str; 18] = [
    "principal.cluster",
    "principal.namespace",
    "principal.pod",
    "principal.service_account",
    "principal.container",
    "principal.image",
    "principal.image_config",
    "principal.launcher",
    "principal.args",
    "principal.cwd",
    "context.node",
    "context.cluster",
    "context.profile",
    "context.memory",
    "context.boot",
    "context.agent",
    "context.root",
    "context.pod_log",
];
/// Those of the honest workload, which are the right values.
const FLAGS: [(&str, bool); 10] = [
    ("principal.privileged", false),
    ("principal.host_network", false),
    ("principal.host_pid", false),
    ("principal.host_ipc", false),
    ("principal.shared_pid_namespace", false),
    ("principal.read_only_root", true),
    ("principal.no_new_privileges", true),
    ("principal.token_names_node", true),
    ("context.tpm_in_tee", false),
    ("context.secure_boot", true),
];
const NUMBERS: [&str; 5] = ["principal.hooks", "principal.uid", "principal.gid", "principal.pod_execs", "context.pod_log_gaps"];
/// A value that the honest workload does not have.
const OTHERS: [(&str, &str); 10] = [
    ("principal.env_names", "[\"HOME\"].containsAll(principal.env_names)"),
    ("principal.env", "[{ name: \"PATH\", value: \"sha256:00\" }].containsAll(principal.env)"),
    ("principal.mounts", "[{ destination: \"/data\", kind: \"volume\", read_only: true }].containsAll(principal.mounts)"),
    ("principal.devices", "principal.devices.contains(\"/dev/tpm0\")"),
    ("principal.capabilities", "principal.capabilities.contains(\"CAP_NET_ADMIN\")"),
    ("principal.siblings", "!principal.siblings.isEmpty()"),
    ("context.privileged_images", "!context.privileged_images.isEmpty()"),
    ("context.agent_exceptions", "context.agent_exceptions.contains(\"seccomp\")"),
    ("resource.name", "resource.name == \"decisive/other\""),
    ("resource.accepts", "resource.accepts == [\"host-trusted\"]"),
];

/// Attribute and a condition on it that the honest workload does not meet.
fn wrong_values() -> Vec<(&'static str, String)> {
    let texts = TEXTS.iter().map(|name| (*name, format!("{name} == \"other\"")));
    let flags = FLAGS.iter().map(|(name, honest)| (*name, flag(name, !honest)));
    let numbers = NUMBERS.iter().map(|name| (*name, format!("{name} == 7")));
    let others = OTHERS.iter().map(|(name, condition)| (*name, (*condition).to_owned()));
    texts.chain(flags).chain(numbers).chain(others).collect()
}

fn flag(name: &str, value: bool) -> String {
    format!("{}{name}", if value { "" } else { "!" })
}

/// Every attribute that the schema's text declares, as policies write it.
fn declared(schema: &str) -> BTreeSet<String> {
    let mut of = None;
    let mut found = BTreeSet::new();
    for line in schema.lines().map(str::trim) {
        of = match line {
            "entity Workload = {" => Some("principal"),
            "entity Secret = {" => Some("resource"),
            "context: {" => Some("context"),
            "};" | "}," => None,
            _ => of,
        };
        let name = line.split_once(": ").map(|(name, _)| name).filter(|name| !name.is_empty() && !name.contains(['/', ' ', '{']));
        if let (Some(variable), Some(name)) = (of, name.filter(|name| *name != "context")) {
            found.insert(format!("{variable}.{name}"));
        }
    }
    found
}

fn each_policy_attribute_is_decisive(fixtures: &Fixtures) -> Outcome {
    let schema = std::fs::read_to_string(repository().join("policies/podseal.cedarschema"))?;
    let cases = wrong_values();
    assert_eq!(cases.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), declared(&schema), "a case for each attribute");

    let site = fixtures.own_site("decisive")?;
    let fake = Counterfeit::enrol(&site, "decisive-1", "decisive")?;
    let right = right_values(&site)?;
    let held: BTreeSet<&str> = right.attributes().into_iter().collect();
    assert_eq!(held, cases.iter().map(|(name, _)| *name).collect(), "the honest permit asks for each attribute");
    site.apply_policy(&right.text())?;
    fake.ask_one(&fake.claim()?)?.delivered(&site)?;

    for (attribute, wrong) in &cases {
        site.apply_policy(&right.clone().when(attribute, wrong).text())?;
        let explained = fake.ask_one(&fake.claim()?)?.refused(&site)?;
        assert_eq!(
            (explained.result(), explained.obstacles()),
            ("refused", vec!["policy.permit", "policy.attribute"]),
            "{}",
            explained.told()
        );
        let permit = explained.check("policy.permit").expect("it is an obstacle");
        assert_eq!(permit.found, format!("@{} fails in {attribute}", right.id()));
        let failed = explained.0.checks.iter().find(|check| check.name == "policy.attribute" && check.verdict != "pass");
        let failed = failed.expect("it is an obstacle");
        assert!(failed.expected.contains(attribute) && failed.found.contains(attribute), "{attribute}: {failed:?}");
    }
    site.apply_policy(&right.text())?;
    fake.ask_one(&fake.claim()?)?.delivered(&site)?;
    Ok(())
}

/// The honest permit, for the counterfeit's node, which keeps a pod log.
fn right_values(site: &Site) -> Result<Permit, Box<dyn std::error::Error>> {
    let permit = Workload::new(site, "decisive").permit(site, site.node()?)?.is("context.node", "decisive-1");
    Ok(permit.of_clean_pod_log())
}
