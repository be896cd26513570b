//! What a refusal names, and nothing else: a test that fails an attack for another reason than its own proves nothing.

use podseal_swtpm_tests::error::{BenchError, wait_for};
use podseal_swtpm_tests::pod::RunningContainer;
use podseal_swtpm_tests::site::workload::PATIENCE;
use podseal_swtpm_tests::site::{Explained, Permit, Refused};
use serde_json::Value;

/// The launcher's exit code for a refusal.
pub(crate) const REFUSED: i32 = 77;

/// Nearly everything that a permit of the bench pins: a test takes it away where it must not be what stands in the way.
pub(crate) const CONFIGURATION: [&str; 14] = [
    "principal.args",
    "principal.env_names",
    "principal.env",
    "principal.mounts",
    "principal.capabilities",
    "principal.devices",
    "principal.no_new_privileges",
    "principal.privileged",
    "principal.host_network",
    "principal.host_pid",
    "principal.host_ipc",
    "principal.shared_pid_namespace",
    "principal.siblings",
    "resource.accepts",
];

/// The permit without its conditions on these attributes.
pub(crate) fn without(permit: Permit, attributes: &[&str]) -> Permit {
    attributes.iter().fold(permit, |permit, attribute| permit.without(attribute))
}

/// Only these attributes of the permit stood in the way.
#[track_caller]
pub(crate) fn refused_by_attributes(explained: &Explained, attributes: &[&str]) {
    let failed = explained.0.checks.iter().filter(|check| check.verdict != "pass" && check.name == "policy.attribute");
    let mut named: Vec<&str> = failed.map(|check| check.found.split(" = ").next().unwrap_or_default()).collect();
    named.sort_unstable();
    let rest: Vec<&str> = explained.obstacles().into_iter().filter(|name| *name != "policy.attribute").collect();
    assert_eq!(
        (explained.result(), explained.reason(), &rest[..]),
        ("refused", "policy.permit", &["policy.permit"][..]),
        "{}",
        explained.told()
    );
    assert_eq!(named, attributes, "{}", explained.told());
}

/// Only this forbid of the baseline stood in the way.
#[track_caller]
pub(crate) fn refused_by_forbid(explained: &Explained, id: &str) {
    refused_by(explained, "policy.forbid");
    let origin = explained.check("policy.forbid").map(|check| check.origin.as_str()).unwrap_or_default();
    assert!(origin.starts_with("baseline.cedar") && origin.ends_with(&format!("@{id}")), "{}", explained.told());
}

/// Only this check stood in the way.
#[track_caller]
pub(crate) fn refused_by(explained: &Explained, check: &str) {
    let found = (explained.result(), explained.reason(), explained.obstacles());
    assert_eq!(found, ("refused", check, vec![check]), "{}", explained.told());
}

/// The attester by itself refused: the verifier never heard of it.
#[track_caller]
pub(crate) fn refused_on_the_node(refused: &Refused, reason: &str) {
    assert_eq!((refused.code, refused.reason.as_str(), refused.audit_id.as_str()), (REFUSED, reason, ""), "{refused:?}");
}

/// What `stranger` in a container was answered: its first line.
pub(crate) fn answered(container: &RunningContainer<'_>) -> Result<Value, BenchError> {
    nth_answer(container, 0)
}

/// A later line of `stranger`, counted from 0.
pub(crate) fn nth_answer(container: &RunningContainer<'_>, line: usize) -> Result<Value, BenchError> {
    let written = wait_for(&format!("{} is answered", container.id()), PATIENCE, || {
        let written = container.stdout().map_err(|error| error.to_string())?;
        let whole = written.rsplit_once('\n').and_then(|(whole, _)| whole.lines().nth(line).map(str::to_owned));
        whole.ok_or_else(|| format!("{written:?}; stderr {:?}", container.stderr().unwrap_or_default()))
    })?;
    serde_json::from_str(&written).map_err(|_| BenchError::answer("stranger", written, "JSON"))
}

/// The words of a launcher in front of a stranger's.
pub(crate) fn as_launcher<'w>(program: &'w str, verifier: &'w str, words: &[&'w str]) -> Vec<&'w str> {
    [&[program, "--verifier", verifier, "--"], words].concat()
}
