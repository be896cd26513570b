//! From text to statements: limits, syntax, names, scopes, and the schema. All of it at apply time, none of it at a request.

use cedar_policy::pst::{self, Clause, EntityOrSlot};
use cedar_policy::{Effect, ParseErrors, PolicyId, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;

use super::condition::{self, Condition, Refused};
use super::error::PolicyError;
use super::{PolicyLimits, nesting, schema};

/// One `permit` or `forbid`.
#[derive(Debug)]
pub(super) struct Statement {
    /// Its `@id`.
    pub(super) id: String,
    /// `policy.cedar:12 @payments-db`.
    pub(super) origin: String,
    /// Its `@remedy`.
    pub(super) remedy: Option<String>,
    /// The secret that a permit names; `None` for a forbid.
    pub(super) releases: Option<String>,
    /// Its conjuncts.
    pub(super) conditions: Vec<Condition>,
    /// As Cedar evaluates it, under its own name.
    pub(super) cedar: cedar_policy::Policy,
}

/// A text with the name that origins give it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn at(self, offset: usize) -> String {
        let line = self.text.bytes().take(offset).filter(|b| *b == b'\n').count().saturating_add(1);
        format!("{}:{line}", self.file)
    }

    fn of(self, statement: Option<String>) -> String {
        self.at(statement.and_then(|text| self.text.find(&text)).unwrap_or(0))
    }
}

/// Compiles a text; what it returns is in the text's order.
pub(super) fn compile(source: Source<'_>, validator: &Validator, limits: &PolicyLimits) -> Result<Vec<Statement>, PolicyError> {
    let within = |found: usize, limit: usize| (found > limit).then_some((found, limit));
    if let Some((found, limit)) = within(source.text.len(), limits.text) {
        return Err(PolicyError::TooLong { found, limit });
    }
    nesting::check(source, limits)?;
    let set: PolicySet = source
        .text
        .parse()
        .map_err(|error: ParseErrors| PolicyError::Syntax { origin: source.at(offset(&error)), found: error.to_string() })?;
    if let Some((found, limit)) = within(set.num_of_policies().saturating_add(set.num_of_templates()), limits.statements) {
        return Err(PolicyError::TooMany { found, limit });
    }
    if let Some(template) = set.templates().next() {
        return Err(PolicyError::Template { origin: source.of(Some(template.to_cedar())) });
    }
    let mut statements = set
        .policies()
        .map(|policy| {
            let text = policy.to_cedar().unwrap_or_default();
            let offset = source.text.find(&text).unwrap_or(0);
            if text.len() > limits.statement {
                return Err(PolicyError::StatementTooLong { origin: source.at(offset), found: text.len(), limit: limits.statement });
            }
            Ok((offset, statement(policy, &source.at(offset))?))
        })
        .collect::<Result<Vec<_>, _>>()?;
    statements.sort_by_key(|(offset, _)| *offset);
    let statements: Vec<Statement> = statements.into_iter().map(|(_, statement)| statement).collect();
    unique(&statements)?;
    validate(&statements, validator)?;
    Ok(statements)
}

/// Refuses two statements of one name.
pub(super) fn unique(statements: &[Statement]) -> Result<(), PolicyError> {
    let mut seen = std::collections::HashMap::new();
    for statement in statements {
        if let Some(other) = seen.insert(statement.id.as_str(), statement.origin.as_str()) {
            return Err(PolicyError::DuplicateId { origin: statement.origin.clone(), other: other.to_owned() });
        }
    }
    Ok(())
}

fn offset(error: &dyn Diagnostic) -> usize {
    error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset())
}

fn statement(policy: &cedar_policy::Policy, line: &str) -> Result<Statement, PolicyError> {
    let id = policy.annotation("id").unwrap_or_default().to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(plain) {
        return Err(PolicyError::Id { origin: line.to_owned(), found: id });
    }
    let origin = format!("{line} @{id}");
    let tree = policy.to_pst().map_err(|error| PolicyError::Syntax { origin: origin.clone(), found: error.to_string() })?;
    let body = tree.body();
    let releases = scope(body, policy.effect(), &origin)?;
    for clause in body.clauses() {
        let (Clause::When(expr) | Clause::Unless(expr)) = clause;
        match condition::refused(expr) {
            Some(Refused::Has(found)) => return Err(PolicyError::Has { origin, found }),
            Some(Refused::Indirect(found)) => return Err(PolicyError::Indirect { origin, found }),
            None => {}
        }
    }
    let conditions =
        condition::conjuncts(body.clauses()).map_err(|error| PolicyError::Syntax { origin: origin.clone(), found: error.to_string() })?;
    let remedy = policy.annotation("remedy").filter(|text| !text.is_empty()).map(str::to_owned);
    let cedar = policy.new_id(PolicyId::new(&id));
    Ok(Statement { id, origin, remedy, releases, conditions, cedar })
}

fn scope(body: &pst::Template, effect: Effect, origin: &str) -> Result<Option<String>, PolicyError> {
    match &body.principal {
        pst::PrincipalConstraint::Any | pst::PrincipalConstraint::Is(_) => {}
        other => return Err(PolicyError::PrincipalScope { origin: origin.to_owned(), found: other.to_string() }),
    }
    match (effect, &body.resource) {
        (Effect::Forbid, _) => Ok(None),
        (Effect::Permit, pst::ResourceConstraint::Eq(EntityOrSlot::Entity(uid))) if uid.ty.to_string() == schema::SECRET => {
            Ok(Some(uid.eid.to_string()))
        }
        (Effect::Permit, other) => Err(PolicyError::PermitScope { origin: origin.to_owned(), found: other.to_string() }),
    }
}

/// Strict validation; a warning (never applies, look-alike characters) counts as an error.
fn validate(statements: &[Statement], validator: &Validator) -> Result<(), PolicyError> {
    for statement in statements {
        let invalid = |found: String| PolicyError::Invalid { origin: statement.origin.clone(), found };
        let set = PolicySet::from_policies([statement.cedar.clone()]).map_err(|error| invalid(error.to_string()))?;
        let result = validator.validate(&set, ValidationMode::Strict);
        let found = result.validation_errors().map(ToString::to_string).chain(result.validation_warnings().map(ToString::to_string)).next();
        if let Some(found) = found {
            return Err(invalid(found));
        }
    }
    Ok(())
}
