//! What an operator reads about one decision, and what the archive keeps of it. A fold over the checks; nothing is decided here.

use std::collections::BTreeMap;

use podseal_protocol::Leaf;
use serde::{Deserialize, Serialize};

use crate::{
    appraiser::{Appraisal, LeafAppraisal},
    batch::Unverified,
    check::{Check, Verdict, worst},
    decision::{Decision, receipt_claims},
};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainedCheck {
    /// Stable name.
    pub name: String,
    /// `pass`, `fail` or `not-appraised`.
    pub verdict: String,
    /// What would have passed.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// Where `expected` came from.
    pub origin: String,
    /// Specification and section.
    pub spec: String,
    /// What to do about a failure.
    pub remedy: String,
}

impl From<&Check> for ExplainedCheck {
    fn from(check: &Check) -> Self {
        Self {
            name: check.rule.name.to_owned(),
            verdict: check.verdict.as_str().to_owned(),
            expected: check.expected.clone().into_owned(),
            found: check.found.clone().into_owned(),
            origin: check.origin.clone().into_owned(),
            spec: check.rule.spec.to_owned(),
            remedy: check.rule.remedy.to_owned(),
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// `released`, `attested`, `refused`, `rejected` or `changed`.
    pub result: String,
    /// Name of the first step that did not pass; empty for a release.
    pub reason: String,
    /// The node, as it called itself.
    pub node: String,
    /// `namespace/pod container, service account`, as kernel and runtime had it; says so where the leaf's evidence does not hold.
    pub workload: String,
    /// `FILE=NAMESPACE/NAME`, with `@VERSION` when released.
    pub secrets: Vec<String>,
    /// Assurance claims.
    pub claims: BTreeMap<String, String>,
    /// The binding, hexadecimal; empty where there was none.
    pub binding: String,
    /// Every step.
    pub checks: Vec<ExplainedCheck>,
}

impl Explanation {
    /// Explains what was decided about one leaf.
    #[must_use]
    pub fn of_decision(batch: &Unverified, appraisal: &Appraisal, leaf: &LeafAppraisal, decision: &Decision) -> Self {
        let (result, reason, claims, checks) = match decision {
            Decision::Release(grant) => ("released", "", grant.claims(), grant.checks()),
            Decision::Refuse(refusal) => {
                let result = if refusal.attributable() { "refused" } else { "rejected" };
                (result, refusal.reason(), refusal.claims(), refusal.checks())
            }
        };
        let received = batch.leaves.iter().find(|l| l.digest == leaf.digest()).and_then(|l| l.parsed.as_ref().ok());
        Self {
            result: result.to_owned(),
            reason: reason.to_owned(),
            node: batch.needs().node.to_owned(),
            workload: received.map(|received| describe(received, leaf.workload().is_some())).unwrap_or_default(),
            secrets: match decision {
                Decision::Release(grant) => {
                    grant.secrets().iter().map(|s| format!("{}={}@{}", s.request.file, s.request.secret, s.version)).collect()
                }
                Decision::Refuse(_) => {
                    received.map(|l| l.secrets.iter().map(|s| format!("{}={}", s.file, s.secret)).collect()).unwrap_or_default()
                }
            },
            claims: claims.iter().cloned().collect(),
            binding: appraisal.binding().to_string(),
            checks: checks.iter().map(Into::into).collect(),
        }
    }

    /// Explains what a node's evidence says of the node alone, where no leaf came with it.
    #[must_use]
    pub fn of_node(batch: &Unverified, appraisal: &Appraisal) -> Self {
        let result = match (worst(appraisal.node_checks()), appraisal.attributable()) {
            (Verdict::Pass, true) => "attested",
            (_, true) => "refused",
            (_, false) => "rejected",
        };
        let explanation = Self::of_checks(result, batch.needs().node, "", appraisal.node_checks());
        let claims = receipt_claims(appraisal.node_claims(), None).into_iter().collect();
        Self { claims, binding: appraisal.binding().to_string(), ..explanation }
    }

    /// Explains steps that were not about a leaf: an enrolment, a spent challenge, a change.
    #[must_use]
    pub fn of_checks(result: &str, node: &str, workload: &str, checks: &[Check]) -> Self {
        Self {
            result: result.to_owned(),
            reason: crate::check::first_obstacle(checks).map(|c| c.rule.name.to_owned()).unwrap_or_default(),
            node: node.to_owned(),
            workload: workload.to_owned(),
            secrets: Vec::new(),
            claims: BTreeMap::new(),
            binding: String::new(),
            checks: checks.iter().map(Into::into).collect(),
        }
    }

    /// The bytes that are archived: JSON, one form for one explanation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads archived bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

fn describe(leaf: &Leaf, holds: bool) -> String {
    let unverified = if holds { "" } else { " (unverified)" };
    format!("{}/{} container {}, service account {}{unverified}", leaf.namespace, leaf.pod, leaf.container, leaf.service_account)
}
