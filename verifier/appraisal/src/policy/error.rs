//! Why a policy is not taken.

/// Why a policy text was refused. Nothing of it is in force: the policy before it stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More bytes than [`PolicyLimits::text`](super::PolicyLimits::text).
    #[error("the policy has {found} bytes, at most {limit} are taken: split it by team, or remove what no secret needs")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes taken.
        limit: usize,
    },
    /// More statements than [`PolicyLimits::statements`](super::PolicyLimits::statements).
    #[error("the policy has {found} statements, at most {limit} are taken: merge those that differ in one value")]
    TooMany {
        /// Statements found.
        found: usize,
        /// Statements taken.
        limit: usize,
    },
    /// A statement longer than [`PolicyLimits::statement`](super::PolicyLimits::statement).
    #[error("{origin}: the statement has {found} bytes, at most {limit} are taken: make two of it")]
    StatementTooLong {
        /// File and line of the statement.
        origin: String,
        /// Bytes found.
        found: usize,
        /// Bytes taken.
        limit: usize,
    },
    /// Brackets or operators deeper than [`PolicyLimits::nesting`](super::PolicyLimits::nesting).
    #[error("{origin}: nested deeper than {limit}: spread the condition over several `when` clauses")]
    TooDeep {
        /// File and line at which the limit is passed.
        origin: String,
        /// Levels taken.
        limit: usize,
    },
    /// Not Cedar.
    #[error("{origin}: {found}: write it in Cedar's syntax (https://docs.cedarpolicy.com/policies/syntax-policy.html)")]
    Syntax {
        /// File and line.
        origin: String,
        /// What the parser said.
        found: String,
    },
    /// A template (`?principal`, `?resource`): nothing would ever link it.
    #[error("{origin}: a template never applies here: write the secret in place of the slot")]
    Template {
        /// File and line of the template.
        origin: String,
    },
    /// No `@id`, or one that cannot be shown in a line of log.
    #[error(
        "{origin}: @id is {found:?}: each statement needs a name of 1 to 64 letters, digits, '-', '_' or '.', as in @id(\"payments-db\")"
    )]
    Id {
        /// File and line of the statement.
        origin: String,
        /// The annotation, empty where there is none.
        found: String,
    },
    /// Two statements of the same name, the baseline's included.
    #[error("{origin}: the name is taken by {other}: choose another @id")]
    DuplicateId {
        /// File, line and name of the second statement.
        origin: String,
        /// File, line and name of the first.
        other: String,
    },
    /// A principal scope that names a workload: workloads have no names but their attributes.
    #[error("{origin}: the scope says `{found}`: write `principal`, and conditions on its attributes")]
    PrincipalScope {
        /// File, line and name of the statement.
        origin: String,
        /// The scope.
        found: String,
    },
    /// A permit that does not say which secret it releases.
    #[error("{origin}: a permit releases one secret that it names, and this one says `{found}`: write resource == Secret::\"team/name\"")]
    PermitScope {
        /// File, line and name of the statement.
        origin: String,
        /// The scope.
        found: String,
    },
    /// `has`: it would let a policy pass for lack of a claim.
    #[error(
        "{origin}: `{found}` asks whether a claim is there; what was not appraised never helps a release: compare the attribute itself"
    )]
    Has {
        /// File, line and name of the statement.
        origin: String,
        /// The expression.
        found: String,
    },
    /// An attribute of something other than `principal`, `resource` or `context` by name.
    #[error("{origin}: `{found}`: write principal.NAME, resource.NAME or context.NAME, so that a refusal can name the attribute")]
    Indirect {
        /// File, line and name of the statement.
        origin: String,
        /// The expression.
        found: String,
    },
    /// The statement does not fit the schema, or can never apply.
    #[error("{origin}: {found}: compare with policies/podseal.cedarschema")]
    Invalid {
        /// File, line and name of the statement.
        origin: String,
        /// What the validator said.
        found: String,
    },
    /// The schema that this build carries is not one.
    #[error("podseal.cedarschema of this build: {found}: install a released build")]
    Schema {
        /// What the parser said.
        found: String,
    },
}

/// Why the description of a secret was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is nothing that a secret can accept: choose among {}", super::accepts::words())]
pub struct UnknownAccept {
    /// The word.
    pub word: String,
}
