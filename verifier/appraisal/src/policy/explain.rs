//! Cedar's answers as checks. On the way to a release this is three records; on a refusal every condition is asked by itself.

use cedar_policy::{PolicyId, Response};

use super::compile::Statement;
use super::condition::Holds;
use super::facts::Facts;
use super::{ATTRIBUTE, CLAIMS_APPRAISED, FORBID, PERMIT, Policy, SecretMetadata};
use crate::check::Checks;

/// What Cedar said: permits for the secret and forbids are asked apart, so that each is a step of its own.
pub(super) struct Answers {
    pub(super) permit: Response,
    pub(super) forbid: Response,
}

impl Answers {
    pub(super) fn determining(&self) -> Vec<String> {
        let mut ids: Vec<String> = [&self.permit, &self.forbid].into_iter().flat_map(satisfied).map(ToString::to_string).collect();
        ids.sort_unstable();
        ids
    }
}

/// Statements that hold. Each set has one effect only, so that the reasons of its answer are all of them.
fn satisfied(answer: &Response) -> impl Iterator<Item = &PolicyId> {
    answer.diagnostics().reason()
}

/// The list under construction.
pub(super) struct Account<'a> {
    pub(super) policy: &'a Policy,
    pub(super) facts: &'a Facts,
    pub(super) checks: Checks,
    pub(super) obstacles: Vec<String>,
}

impl Account<'_> {
    fn obstacle(&mut self, name: &str) {
        if !self.obstacles.iter().any(|other| other == name) {
            self.obstacles.push(name.to_owned());
        }
    }

    fn statement(&self, id: &PolicyId) -> Option<&Statement> {
        let id: &str = id.as_ref();
        self.policy.statements.get(id)
    }

    /// No statement was left undecided.
    pub(super) fn claims(&mut self, answers: &Answers) {
        let errors: Vec<_> = [&answers.forbid, &answers.permit].into_iter().flat_map(|a| a.diagnostics().errors()).collect();
        let mut missing = Vec::new();
        for error in &errors {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let undecided = self.statement(error.policy_id()).map(|statement| self.undecided(statement)).unwrap_or_default();
            if undecided.is_empty() {
                missing.push((String::new(), Vec::new(), error.to_string()));
            }
            missing.extend(undecided);
        }
        let found = match missing.as_slice() {
            [] => "all of them".to_owned(),
            some => some.iter().map(|(_, _, why)| why.as_str()).collect::<Vec<_>>().join("; "),
        };
        if self.checks.record(&CLAIMS_APPRAISED, errors.is_empty(), "every claim that the policy reads", found) {
            return;
        }
        for (origin, attributes, why) in missing {
            attributes.iter().for_each(|name| self.obstacle(name));
            self.checks.not_appraised(&ATTRIBUTE, if origin.is_empty() { why } else { format!("{why} ({origin})") });
        }
    }

    /// Conditions of a statement that could not be evaluated: origin, attributes, reason.
    fn undecided(&self, statement: &Statement) -> Vec<(String, Vec<String>, String)> {
        let mut found = Vec::new();
        for condition in &statement.conditions {
            if let Holds::Undecided(error) = condition.holds(self.facts, &self.policy.authorizer) {
                let missing = condition.attributes.iter().filter(|name| self.facts.why_missing(name).is_some());
                let missing: Vec<String> = missing.cloned().collect();
                let why = if missing.is_empty() {
                    format!("`{}`: {error}", condition.text)
                } else {
                    missing.iter().map(|name| self.facts.render(name)).collect::<Vec<_>>().join(", ")
                };
                let names = if missing.is_empty() { condition.attributes.iter().cloned().collect() } else { missing };
                found.push((statement.origin.clone(), names, why));
            }
        }
        found
    }

    /// No forbid holds.
    pub(super) fn forbids(&mut self, answers: &Answers) {
        let ids: Vec<PolicyId> = satisfied(&answers.forbid).cloned().collect();
        if ids.is_empty() {
            self.checks.record(&FORBID, true, "no forbid that holds", "none");
        }
        for id in ids {
            let (origin, expected, found, names) = match self.statement(&id) {
                Some(statement) => self.forbidden(statement),
                None => (String::new(), "no forbid that holds".to_owned(), id.to_string(), Vec::new()),
            };
            if !self.checks.record_from(origin, &FORBID, false, expected, found) {
                self.obstacle(id.as_ref());
                names.iter().for_each(|name| self.obstacle(name));
            }
        }
    }

    fn forbidden(&self, statement: &Statement) -> (String, String, String, Vec<String>) {
        let joined = |texts: Vec<String>, by: &str| texts.join(by);
        let condition = joined(statement.conditions.iter().map(|c| c.text.clone()).collect(), " && ");
        let condition = if condition.is_empty() { "never".to_owned() } else { format!("not ({condition})") };
        let expected = statement.remedy.as_ref().map_or(condition.clone(), |remedy| format!("{condition}: {remedy}"));
        let found = joined(statement.conditions.iter().map(|c| c.found(self.facts)).collect(), ", ");
        let names = statement.conditions.iter().flat_map(|c| c.attributes.iter().cloned()).collect();
        (statement.origin.clone(), expected, found, names)
    }

    /// A permit that names the secret holds.
    pub(super) fn permits(&mut self, answers: &Answers, secret: &SecretMetadata) {
        let mut holding: Vec<&str> = satisfied(&answers.permit).map(AsRef::as_ref).collect();
        holding.sort_unstable();
        let expected = format!("a permit for {:?} that holds", secret.name());
        let near = if holding.is_empty() { self.nearest(secret) } else { Vec::new() };
        let found = match (holding.is_empty(), near.is_empty()) {
            (false, _) => holding.join(", "),
            (true, true) => "no permit names this secret".to_owned(),
            (true, false) => near.iter().map(Near::summary).collect::<Vec<_>>().join("; "),
        };
        if self.checks.record(&PERMIT, !holding.is_empty(), expected, found) {
            return;
        }
        for permit in near {
            for (condition, attributes, found, holds) in permit.conditions {
                if !self.checks.record_from(permit.origin.clone(), &ATTRIBUTE, holds, condition, found) {
                    attributes.iter().for_each(|name| self.obstacle(name));
                }
            }
        }
    }

    /// Permits for the secret, with their conditions asked one by one; the one that fails in the fewest comes first.
    fn nearest(&self, secret: &SecretMetadata) -> Vec<Near> {
        let named = self.policy.statements.values().filter(|s| s.releases.as_deref() == Some(secret.name()));
        let mut near: Vec<Near> = named.map(|statement| self.near(statement)).collect();
        near.sort_by(|a, b| (a.failing(), &a.origin).cmp(&(b.failing(), &b.origin)));
        near
    }

    fn near(&self, statement: &Statement) -> Near {
        let decided = |c: &super::condition::Condition| match c.holds(self.facts, &self.policy.authorizer) {
            Holds::Yes => Some(true),
            Holds::No => Some(false),
            Holds::Undecided(_) => None,
        };
        let conditions = statement.conditions.iter().filter_map(|c| {
            let names: Vec<String> = c.attributes.iter().cloned().collect();
            decided(c).map(|holds| (c.text.clone(), names, c.found(self.facts), holds))
        });
        Near { origin: statement.origin.clone(), id: statement.id.clone(), conditions: conditions.collect() }
    }
}

/// A permit that names the secret and does not hold.
struct Near {
    origin: String,
    id: String,
    /// Text, attributes, what was found, whether it holds.
    conditions: Vec<(String, Vec<String>, String, bool)>,
}

impl Near {
    fn failing(&self) -> usize {
        self.conditions.iter().filter(|(_, _, _, holds)| !holds).count()
    }

    fn summary(&self) -> String {
        let failing = self.conditions.iter().filter(|(_, _, _, holds)| !holds);
        let names: Vec<&str> = failing.flat_map(|(_, names, _, _)| names.iter().map(String::as_str)).collect();
        format!("@{} fails in {}", self.id, if names.is_empty() { "what was not appraised".to_owned() } else { names.join(", ") })
    }
}
