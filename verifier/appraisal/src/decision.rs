//! The decision: an appraisal and a policy in; a grant or a refusal out, for one leaf.

use podseal_protocol::{Digest, delivery::Released, key::PublicKey};

use crate::{
    appraiser::{Appraisal, LeafAppraisal},
    check::{Check, Checks, Verdict, first_obstacle, worst},
    claims::{NodeClaims, WorkloadClaims},
    policy::{Policy, SecretMetadata},
    records::SecretRecord,
    rules,
};

/// What becomes of one leaf.
#[derive(Debug)]
pub enum Decision {
    /// Its secrets may be sealed.
    Release(Grant),
    /// Nothing is released.
    Refuse(Refusal),
}

/// Permission to seal named secrets to one key, once. Made only by [`decide`]:
///
/// ```compile_fail,E0451
/// # use podseal_appraisal::decision::Grant;
/// fn forge(real: Grant) -> Grant {
///     Grant { sequence: 2, ..real }
/// }
/// ```
///
/// ```
/// # use podseal_appraisal::decision::Grant;
/// fn use_it(real: Grant) -> u64 {
///     real.sequence()
/// }
/// ```
#[derive(Debug)]
pub struct Grant {
    key: PublicKey,
    leaf: Digest,
    binding: Digest,
    sequence: u64,
    secrets: Vec<Released>,
    policy_head: Digest,
    claims: Vec<(String, String)>,
    checks: Vec<Check>,
}

impl Grant {
    /// What to seal to.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// `h(leaf)`.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        self.leaf
    }

    /// The binding that the hardware signed.
    #[must_use]
    pub fn binding(&self) -> Digest {
        self.binding
    }

    /// The leaf's sequence.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Which secrets, in the order asked.
    #[must_use]
    pub fn secrets(&self) -> &[Released] {
        &self.secrets
    }

    /// Digest of the policy that permitted it.
    #[must_use]
    pub fn policy_head(&self) -> Digest {
        self.policy_head
    }

    /// Assurance claims for the receipt, name and word, sorted by name.
    #[must_use]
    pub fn claims(&self) -> &[(String, String)] {
        &self.claims
    }

    /// Every step, all passed.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

/// Why nothing is released.
#[derive(Debug)]
pub struct Refusal {
    checks: Vec<Check>,
    attributable: bool,
    claims: Vec<(String, String)>,
}

impl Refusal {
    /// Every step; at least one did not pass.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Stable reason code: the name of the first step that did not pass.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        first_obstacle(&self.checks).map_or("nothing.appraised", |check| check.rule.name)
    }

    /// Whether a registered node sent it: then it is logged, otherwise counted.
    #[must_use]
    pub fn attributable(&self) -> bool {
        self.attributable
    }

    /// Assurance claims, as far as they were appraised.
    #[must_use]
    pub fn claims(&self) -> &[(String, String)] {
        &self.claims
    }
}

/// Decides on one leaf: all secrets that it asks for, or none. `secrets` are those of the asked ones that exist.
///
/// There is no deciding on a batch that was not appraised:
///
/// ```compile_fail,E0308
/// # use podseal_appraisal::{batch::Unverified, appraiser::LeafAppraisal, decision::{decide, Decision}};
/// fn short_cut(batch: &Unverified, leaf: &LeafAppraisal) -> Decision {
///     decide(batch, leaf, None, &[])
/// }
/// ```
///
/// ```
/// # use podseal_appraisal::{appraiser::{Appraisal, LeafAppraisal}, decision::{decide, Decision}};
/// fn the_way(appraisal: &Appraisal, leaf: &LeafAppraisal) -> Decision {
///     decide(appraisal, leaf, None, &[])
/// }
/// ```
#[must_use]
pub fn decide(appraisal: &Appraisal, leaf: &LeafAppraisal, policy: Option<&Policy>, secrets: &[SecretRecord]) -> Decision {
    let mut checks: Vec<Check> = appraisal.node_checks().iter().chain(leaf.checks()).cloned().collect();
    let claims = receipt_claims(appraisal.node_claims(), leaf.workload());
    let asked = asked(leaf, secrets, &mut checks);
    let head = permitted(appraisal, leaf, policy, secrets, &mut checks);
    match (worst(&checks), leaf.leaf(), asked, head) {
        (Verdict::Pass, Some(asks), Some(released), Some(policy_head)) => Decision::Release(Grant {
            key: asks.workload_key,
            leaf: leaf.digest(),
            binding: appraisal.binding(),
            sequence: asks.sequence,
            secrets: released,
            policy_head,
            claims,
            checks,
        }),
        _ => Decision::Refuse(Refusal { attributable: appraisal.attributable(), checks, claims }),
    }
}

/// Finds each secret asked for.
fn asked(leaf: &LeafAppraisal, secrets: &[SecretRecord], all: &mut Vec<Check>) -> Option<Vec<Released>> {
    let mut checks = Checks::owing(&[&rules::SECRET_EXISTS]);
    let mut released = Vec::new();
    for request in &leaf.leaf()?.secrets {
        let found = secrets.iter().find(|s| s.name == request.secret);
        let word = if found.is_some() { "it" } else { "no such secret" };
        checks.record(&rules::SECRET_EXISTS, found.is_some(), request.secret.clone(), word);
        released.extend(found.map(|s| Released { request: request.clone(), version: s.version }));
    }
    let complete = leaf.leaf().is_some_and(|asks| asks.secrets.len() == released.len());
    all.extend(checks.finish());
    complete.then_some(released)
}

/// Asks the policy about each secret; says which policy decided.
fn permitted(
    appraisal: &Appraisal,
    leaf: &LeafAppraisal,
    policy: Option<&Policy>,
    secrets: &[SecretRecord],
    all: &mut Vec<Check>,
) -> Option<Digest> {
    let (node, workload) = (appraisal.node_claims()?, leaf.workload()?);
    let mut checks = Checks::owing(&[&rules::POLICY_IN_FORCE]);
    let found = policy.map_or_else(|| "none".to_owned(), |policy| policy.head().to_string());
    checks.record(&rules::POLICY_IN_FORCE, policy.is_some(), "a policy", found);
    all.extend(checks.finish());
    let policy = policy?;
    for secret in secrets {
        // The words were checked when the secret was made; one that is unknown now accepts nothing.
        let metadata = SecretMetadata::new(&secret.name, &secret.accepts).or_else(|_| SecretMetadata::new(&secret.name, [""; 0])).ok()?;
        all.extend(policy.decide(node, workload, &metadata).checks);
    }
    Some(policy.head())
}

/// Name and word of each assurance claim, sorted by name.
pub(crate) fn receipt_claims(node: Option<&NodeClaims>, workload: Option<&WorkloadClaims>) -> Vec<(String, String)> {
    let mut claims: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, word: Option<String>| claims.push((name.to_owned(), word.unwrap_or_else(|| "not-appraised".to_owned())));
    if let Some(node) = node {
        add("agent", node.agent.appraised().map(|c| c.as_str().to_owned()));
        add("agent_exceptions", node.agent_exceptions.appraised().map(|names| listed(names)));
        add("boot", node.boot.appraised().map(|c| c.as_str().to_owned()));
        add("memory", node.memory.appraised().map(|c| c.as_str().to_owned()));
        add("pod_log", node.pod_log.appraised().map(|c| c.as_str().to_owned()));
        add("root", node.root.appraised().map(|c| c.as_str().to_owned()));
        add("secure_boot", node.secure_boot.appraised().map(bool::to_string));
    }
    if let Some(workload) = workload {
        add("token_names_node", workload.token_names_node.appraised().map(bool::to_string));
    }
    if let Some(node) = node {
        add("tpm_in_tee", node.tpm_in_tee.appraised().map(bool::to_string));
    }
    claims
}

/// A list of names as one word.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}
