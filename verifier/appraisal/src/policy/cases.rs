//! Requests with the answer that a policy owes them: the `allow/*.json` and `deny/*.json` of a policy folder.
//!
//! ```json
//! { "about": "another service account of the namespace",
//!   "secret": { "name": "payments/db", "accepts": ["host-trusted"] },
//!   "node": { "node": "node-1", "cluster": "demo", "profile": "tpm", "memory": "none", "boot": "kernel", … },
//!   "workload": { "cluster": "demo", "namespace": "payments", "service_account": "default", … },
//!   "expect": "principal.service_account" }
//! ```
//!
//! Fields are those of [`NodeClaims`] and [`WorkloadClaims`]; a claim that may be not appraised is `null` or left out. Digests are `sha256:`
//! and 64 hexadecimal digits; the value of an environment variable is written as its digest. `expect` is for refusals: the attribute or the
//! forbid that has to be among [`PolicyOutcome::obstacles`].

mod form;

use super::{Policy, PolicyOutcome, SecretMetadata, UnknownAccept};
use crate::claims::{NodeClaims, WorkloadClaims};
use form::{RawCase, Reader};

/// The answer that a case asks for: the folder it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `allow/`
    Allow,
    /// `deny/`
    Deny,
}

/// One request, and what a policy has to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Name for the report: the file's path in the folder.
    pub name: String,
    /// What the case shows.
    pub about: String,
    /// The obstacle that a refusal has to name; `None` where a release is wanted.
    pub expect: Option<String>,
    /// The machine.
    pub node: NodeClaims,
    /// The container that asks.
    pub workload: WorkloadClaims,
    /// The secret that it asks for.
    pub secret: SecretMetadata,
}

/// Why a file is not a case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// Longer than any case is.
    #[error("{name}: {found} bytes, at most {limit} are taken")]
    TooLong {
        /// The case.
        name: String,
        /// Bytes found.
        found: usize,
        /// Bytes taken.
        limit: usize,
    },
    /// Not JSON of the documented form.
    #[error("{name}: {found}: see an example in policies/examples")]
    Json {
        /// The case.
        name: String,
        /// What the parser said.
        found: String,
    },
    /// A field with a value that there is none of.
    #[error("{name}: {field} is {found:?}: write {wanted}")]
    Value {
        /// The case.
        name: String,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it can be.
        wanted: &'static str,
    },
    /// An unknown word in `accepts`.
    #[error("{name}: {found}")]
    Accepts {
        /// The case.
        name: String,
        /// The word, and those that there are.
        found: UnknownAccept,
    },
    /// `expect` in `allow/`, or none in `deny/`.
    #[error("{name}: a case in deny/ says in \"expect\" which attribute or forbid is named, one in allow/ has no \"expect\"")]
    Expect {
        /// The case.
        name: String,
    },
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// [`Case::name`].
    pub name: String,
    /// The policy said what the case asks for.
    pub holds: bool,
    /// What it said: `released`, or what stood in the way.
    pub found: String,
    /// In full.
    pub outcome: PolicyOutcome,
}

/// Asks a policy every case.
#[must_use]
pub fn run_cases(policy: &Policy, cases: &[Case]) -> Vec<CaseResult> {
    let run = |case: &Case| {
        let outcome = policy.decide(&case.node, &case.workload, &case.secret);
        let holds = match &case.expect {
            None => outcome.allowed(),
            Some(name) => !outcome.allowed() && outcome.obstacles.contains(name),
        };
        let found = match (outcome.allowed(), outcome.obstacles.is_empty()) {
            (true, _) => "released".to_owned(),
            (false, true) => "refused: no permit names this secret".to_owned(),
            (false, false) => format!("refused: {}", outcome.obstacles.join(", ")),
        };
        CaseResult { name: case.name.clone(), holds, found, outcome }
    };
    cases.iter().map(run).collect()
}

impl Case {
    /// Longest text of a case, in bytes.
    pub const LIMIT: usize = 1 << 20;

    /// Reads a case.
    ///
    /// # Errors
    /// Anything that is not of the form described in this module.
    pub fn parse(name: &str, wanted: Wanted, text: &str) -> Result<Self, CaseError> {
        if text.len() > Self::LIMIT {
            return Err(CaseError::TooLong { name: name.to_owned(), found: text.len(), limit: Self::LIMIT });
        }
        let raw: RawCase =
            serde_json::from_str(text).map_err(|error| CaseError::Json { name: name.to_owned(), found: error.to_string() })?;
        if (wanted == Wanted::Deny) != raw.expect.is_some() {
            return Err(CaseError::Expect { name: name.to_owned() });
        }
        let secret = SecretMetadata::new(raw.secret.name, raw.secret.accepts)
            .map_err(|found| CaseError::Accepts { name: name.to_owned(), found })?;
        let reader = Reader { name };
        Ok(Self {
            name: name.to_owned(),
            about: raw.about,
            expect: raw.expect,
            node: reader.node(raw.node)?,
            workload: reader.workload(raw.workload)?,
            secret,
        })
    }
}
