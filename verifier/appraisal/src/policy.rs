//! Policy: which workload, on which node, gets which secret. Cedar decides over the claims; every answer is a list of [`Check`]s.
//!
//! `principal` is the [workload](WorkloadClaims), `action` is `release`, `resource` the secret, `context` the [node](NodeClaims): see
//! [`SCHEMA`]. Nothing is released unless a permit names the secret and holds, no forbid holds (those of [`BASELINE`] are always there), and
//! every claim that was needed was appraised.
//!
//! A condition never outlives its evaluation: a policy that compiles evaluates to yes or no on complete claims, and anything else refuses.

mod accepts;
mod cases;
mod compile;
mod condition;
mod draft;
mod error;
mod explain;
mod facts;
mod nesting;
mod schema;

pub use accepts::{ACCEPTS, Accept, SecretMetadata};
pub use cases::{Case, CaseError, CaseResult, Wanted, run_cases};
pub use draft::draft;
pub use error::{PolicyError, UnknownAccept};
pub use schema::{BASELINE, SCHEMA};

use cedar_policy::{Authorizer, PolicySet};
use podseal_protocol::Digest;
use std::collections::HashMap;

use crate::check::{Check, Checks, Rule, Verdict, worst};
use crate::claims::{NodeClaims, WorkloadClaims};
use compile::{Source, Statement};
use facts::{Facts, Reads};
use schema::Vocabulary;

/// Every claim that a statement needed is there.
pub static CLAIMS_APPRAISED: Rule = Rule {
    name: "policy.claims_appraised",
    spec: "docs/ARCHITECTURE.md, policy: what is not appraised never helps a release",
    remedy: "see which evidence was missing, or leave the attribute out of the policy",
};

/// No forbid holds.
pub static FORBID: Rule = Rule {
    name: "policy.forbid",
    spec: "Cedar, authorization: a forbid overrides every permit",
    remedy: "change what the forbid names, as its own remedy says",
};

/// A permit for the secret holds.
pub static PERMIT: Rule = Rule {
    name: "policy.permit",
    spec: "Cedar, authorization: deny by default",
    remedy: "run the workload that a permit describes, or have a permit for this one approved",
};

/// One condition of a permit that names the secret.
pub static ATTRIBUTE: Rule = Rule {
    name: "policy.attribute",
    spec: "Cedar, when and unless conditions",
    remedy: "compare the found value with the condition: one of workload, node and policy is not the one that was meant",
};

/// Bounds on a policy text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyLimits {
    /// The whole text, in bytes.
    pub text: usize,
    /// Statements in it.
    pub statements: usize,
    /// One statement, in bytes.
    pub statement: usize,
    /// Depth of brackets.
    pub nesting: usize,
    /// Operators and member accesses of one statement: they nest too.
    pub operators: usize,
}

impl PolicyLimits {
    /// What the verifier uses.
    pub const DEFAULT: Self = Self { text: 1 << 20, statements: 4096, statement: 32 << 10, nesting: 24, operators: 256 };
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A policy in force: checked against the schema, and joined with the baseline.
#[derive(Debug)]
pub struct Policy {
    head: Digest,
    vocabulary: Vocabulary,
    reads: Reads,
    statements: HashMap<String, Statement>,
    permits: HashMap<String, PolicySet>,
    none: PolicySet,
    forbids: PolicySet,
    authorizer: Authorizer,
}

/// What policy says about one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOutcome {
    /// The steps, the baseline's included; a release needs every one of them to pass.
    pub checks: Vec<Check>,
    /// `@id`s of the statements that hold: permits and forbids.
    pub determining: Vec<String>,
    /// What stands in the way: attributes (`principal.image`) and `@id`s of forbids, in the order found. Empty when allowed.
    pub obstacles: Vec<String>,
}

impl PolicyOutcome {
    /// Whether every step passed.
    #[must_use]
    pub fn allowed(&self) -> bool {
        worst(&self.checks) == Verdict::Pass
    }
}

impl Policy {
    /// Compiles a policy text, as it was approved, together with the baseline.
    ///
    /// # Errors
    /// Anything about the text that is not a policy which can decide: see [`PolicyError`].
    pub fn parse(text: &str, limits: &PolicyLimits) -> Result<Self, PolicyError> {
        let validator = schema::validator()?;
        let mut statements = compile::compile(Source { file: "baseline.cedar", text: BASELINE }, &validator, &PolicyLimits::DEFAULT)?;
        statements.extend(compile::compile(Source { file: "policy.cedar", text }, &validator, limits)?);
        compile::unique(&statements)?;
        let mut permits: HashMap<String, PolicySet> = HashMap::new();
        let mut forbids = PolicySet::new();
        for statement in &statements {
            let set = match &statement.releases {
                Some(secret) => permits.entry(secret.clone()).or_default(),
                None => &mut forbids,
            };
            set.add(statement.cedar.clone())
                .map_err(|error| PolicyError::Invalid { origin: statement.origin.clone(), found: error.to_string() })?;
        }
        Ok(Self {
            head: Digest::of(text.as_bytes()),
            vocabulary: schema::vocabulary()?,
            reads: Reads::of(statements.iter().flat_map(|s| &s.conditions).flat_map(|c| &c.attributes)),
            statements: statements.into_iter().map(|s| (s.id.clone(), s)).collect(),
            permits,
            none: PolicySet::new(),
            forbids,
            authorizer: Authorizer::new(),
        })
    }

    /// SHA-256 of the text that was compiled, without the baseline.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Secrets that some permit names, sorted.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.permits.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Decides one release. Never fails: what cannot be evaluated is a check that does not pass.
    #[must_use]
    pub fn decide(&self, node: &NodeClaims, workload: &WorkloadClaims, secret: &SecretMetadata) -> PolicyOutcome {
        let mut checks = Checks::owing(&[&CLAIMS_APPRAISED, &FORBID, &PERMIT]);
        let facts = match Facts::new(&self.vocabulary, &self.reads, node, workload, secret) {
            Ok(facts) => facts,
            Err(error) => {
                checks.record(&CLAIMS_APPRAISED, false, "claims that Cedar can read", error);
                return PolicyOutcome { checks: checks.finish(), determining: Vec::new(), obstacles: Vec::new() };
            }
        };
        let permits = self.permits.get(secret.name()).unwrap_or(&self.none);
        let answers = explain::Answers {
            permit: self.authorizer.is_authorized(&facts.request, permits, &facts.entities),
            forbid: self.authorizer.is_authorized(&facts.request, &self.forbids, &facts.entities),
        };
        let mut account = explain::Account { policy: self, facts: &facts, checks, obstacles: Vec::new() };
        account.claims(&answers);
        account.forbids(&answers);
        account.permits(&answers, secret);
        PolicyOutcome { checks: account.checks.finish(), determining: answers.determining(), obstacles: account.obstacles }
    }
}
