//! Whether the agent of a node is what it should be: attester, container runtime and whatever else has to be trusted there.

use super::ProvedList;
use super::entry::{Entry, Measured};
use crate::check::{Checks, Rule};
use podseal_protocol::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// Each file of the agent was measured as its reference has it.
pub static IMA_AGENT_MEASURED: Rule = Rule {
    name: "ima.agent_measured",
    spec: "docs/ARCHITECTURE.md, reference values; Linux, Documentation/ABI/testing/ima_policy",
    remedy: "Measure every program that root runs (ima_policy=tcb), with ima_hash=sha256, and name the files by their paths on the node.",
};
/// None of them was measured as anything else.
pub static IMA_FILE_CHANGED: Rule = Rule {
    name: "ima.file_changed",
    spec: "docs/ARCHITECTURE.md, reference values; Linux, Documentation/security/IMA-templates.rst",
    remedy: "See what replaced the file; after an upgrade add its digest to the references, and reboot the node for a list without the old one.",
};
/// None of them changed while it was measured.
pub static IMA_VIOLATION: Rule = Rule {
    name: "ima.violation",
    spec: "Linux, security/integrity/ima/ima_main.c (ima_rdwr_violation_check)",
    remedy: "See what wrote to the file while it ran, put the file in place by renaming, and reboot the node.",
};

/// What an appraisal of the agent owes, beside what its list owes.
pub static AGENT_RULES: [&Rule; 3] = [&IMA_AGENT_MEASURED, &IMA_FILE_CHANGED, &IMA_VIOLATION];

/// A file of the agent, as the kernel measured it; made only by [`appraise_agent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFile {
    path: String,
    digest: Digest,
}

impl AgentFile {
    /// Its path on the node.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// SHA-256 of its contents.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Appraises the agent: every path of `references` must be in the list with one of its digests (SHA-256), with no other, and without a
/// violation. Records each of [`AGENT_RULES`]; without references nothing is measured.
pub fn appraise_agent(
    list: &ProvedList<'_>,
    references: &BTreeMap<String, BTreeSet<Digest>>,
    checks: &mut Checks,
) -> Option<Vec<AgentFile>> {
    let mut files = BTreeMap::new();
    let mut changed = None;
    let mut violated = None;
    for entry in list.entries() {
        let Some((path, wanted)) = reference(&entry, references) else { continue };
        let Some(measured) = entry.measured() else { continue };
        if entry.is_violation() {
            violated.get_or_insert_with(|| format!("{path}, entry {}", entry.position));
            continue;
        }
        match sha256(&measured).filter(|digest| wanted.contains(digest)) {
            Some(digest) => {
                files.entry(path).or_insert(digest);
            }
            None => {
                changed.get_or_insert_with(|| format!("{path} = {}, entry {}", measured.digest_text(), entry.position));
            }
        }
    }
    let absent = references.keys().filter(|path| !files.contains_key(*path)).map(String::as_str).collect::<Vec<_>>();
    let found = match (references.is_empty(), absent.is_empty()) {
        (true, _) => "no reference".to_owned(),
        (_, true) => format!("all {}", files.len()),
        _ => format!("not {}", absent.join(", ")),
    };
    let mut holds = checks.record(&IMA_AGENT_MEASURED, absent.is_empty() && !references.is_empty(), "every file of the agent", found);
    let same = "the reference digests only".to_owned();
    holds &= checks.record(&IMA_FILE_CHANGED, changed.is_none(), same.clone(), changed.unwrap_or(same));
    let none = "no violation".to_owned();
    holds &= checks.record(&IMA_VIOLATION, violated.is_none(), none.clone(), violated.unwrap_or(none));
    let files = files.into_iter().map(|(path, digest)| AgentFile { path: path.clone(), digest });
    holds.then(|| files.collect())
}

fn reference<'r>(entry: &Entry<'_>, references: &'r BTreeMap<String, BTreeSet<Digest>>) -> Option<(&'r String, &'r BTreeSet<Digest>)> {
    references.get_key_value(std::str::from_utf8(entry.measured()?.name).ok()?)
}

/// The digest, where it is one of the file's contents: one of fs-verity's (`verity:sha256`) is not.
fn sha256(measured: &Measured<'_>) -> Option<Digest> {
    let contents = matches!(measured.algorithm, Some("sha256" | "ima:sha256"));
    measured.digest.try_into().ok().filter(|_| contents).map(Digest)
}
