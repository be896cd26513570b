//! A permit that pins every attribute of the schema, each in a statement of its own: change one, and just that one decides.

use std::fmt::Write as _;

use podseal_protocol::Digest;
use serde_json::json;

use super::machine::EXCEPTION;

/// A permit for one secret.
#[derive(Clone, Debug)]
pub struct Permit {
    /// The secret: `NAMESPACE/NAME`.
    pub secret: String,
    conditions: Vec<(String, String)>,
}

impl Permit {
    /// A permit without conditions.
    pub fn new(secret: &str) -> Self {
        Self { secret: secret.into(), conditions: Vec::new() }
    }

    /// Puts a condition in force for an attribute, in the place of the one before: `("principal.uid", "principal.uid == 10001")`.
    #[must_use]
    pub fn when(mut self, attribute: &str, condition: &str) -> Self {
        match self.conditions.iter_mut().find(|(known, _)| known == attribute) {
            Some((_, old)) => condition.clone_into(old),
            None => self.conditions.push((attribute.into(), condition.into())),
        }
        self
    }

    /// The attribute is this text.
    #[must_use]
    pub fn is(self, attribute: &str, text: &str) -> Self {
        self.when(attribute, &format!("{attribute} == {}", quoted(text)))
    }

    /// The attribute is this digest.
    #[must_use]
    pub fn is_digest(self, attribute: &str, digest: &Digest) -> Self {
        self.is(attribute, &format!("sha256:{digest}"))
    }

    /// The attribute has no element that is not in the list; elements are Cedar expressions.
    #[must_use]
    pub fn within(self, attribute: &str, elements: &[String]) -> Self {
        // Cedar's strict validation knows no type for an empty set.
        let condition = if elements.is_empty() {
            format!("{attribute}.isEmpty()")
        } else {
            format!("[{}].containsAll({attribute})", elements.join(", "))
        };
        self.when(attribute, &condition)
    }

    /// The node keeps a pod log in which nothing is missing, nothing ran privileged, nothing was run in the pod, and the attester does without
    /// nothing but what a TPM over TCP needs.
    #[must_use]
    pub fn of_clean_pod_log(self) -> Self {
        self.is("context.pod_log", "observed")
            .within("context.privileged_images", &[])
            .within("context.agent_exceptions", &[quoted(EXCEPTION)])
            .when("context.pod_log_gaps", "context.pod_log_gaps == 0")
            .when("principal.pod_execs", "principal.pod_execs == 0")
    }

    /// Turns the condition on an attribute around: the permit has one wrong value.
    #[must_use]
    pub fn negated(mut self, attribute: &str) -> Self {
        for (_, condition) in self.conditions.iter_mut().filter(|(known, _)| known == attribute) {
            *condition = format!("!({condition})");
        }
        self
    }

    /// Takes the condition on an attribute away.
    #[must_use]
    pub fn without(mut self, attribute: &str) -> Self {
        self.conditions.retain(|(known, _)| known != attribute);
        self
    }

    /// The attributes that have a condition.
    pub fn attributes(&self) -> Vec<&str> {
        self.conditions.iter().map(|(attribute, _)| attribute.as_str()).collect()
    }

    /// The id of the statement.
    pub fn id(&self) -> String {
        self.secret.replace(['/', '.'], "-")
    }

    /// The statement, in Cedar.
    pub fn text(&self) -> String {
        let mut text = format!(
            "@id({})\npermit (principal, action == Action::\"release\", resource == Secret::{})\n",
            quoted(&self.id()),
            quoted(&self.secret)
        );
        for (_, condition) in &self.conditions {
            let _never_fails = writeln!(text, "when {{ {condition} }}");
        }
        text.truncate(text.trim_end().len());
        text + ";\n"
    }
}

/// A text as Cedar writes it: like JSON.
pub(super) fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// A mount as Cedar writes it.
pub fn mount(destination: &str, kind: &str, read_only: bool) -> String {
    format!("{{ destination: {}, kind: {}, read_only: {read_only} }}", quoted(destination), quoted(kind))
}

/// A variable as Cedar writes it, with the digest of its value.
pub fn variable(name: &str, value: &str) -> String {
    format!("{{ name: {}, value: \"sha256:{}\" }}", quoted(name), Digest::of(value.as_bytes()))
}
