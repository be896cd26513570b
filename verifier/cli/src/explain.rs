//! `podseal explain`: what was decided, and what stood in the way.

use std::collections::BTreeMap;

use podseal_wire::{AuditId, Explanation};
use serde::Serialize;

use crate::{
    checks::{self, CheckView},
    context::Context,
    failure::{Failure, Outcome},
    output,
};

/// What was decided under an audit id, check by check; the checks that did not pass come first
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainCommand {
    /// As an event, a receipt, a refusal or `podseal log list` has it
    #[arg(value_name = "AUDIT-ID")]
    audit_id: String,
    /// Also list the checks that passed
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct ExplanationView {
    audit_id: String,
    result: String,
    reason: String,
    time: Option<String>,
    entry_index: Option<u64>,
    node: String,
    workload: String,
    secrets: Vec<String>,
    claims: BTreeMap<String, String>,
    places: Vec<String>,
    checks: Vec<CheckView>,
}

impl From<Explanation> for ExplanationView {
    fn from(answer: Explanation) -> Self {
        Self {
            audit_id: answer.audit_id,
            result: answer.result,
            reason: answer.reason,
            time: output::time(answer.time),
            entry_index: answer.entry_index,
            node: answer.node,
            workload: answer.workload,
            secrets: answer.secrets,
            claims: answer.claims.into_iter().collect(),
            places: answer.places,
            checks: answer.checks.into_iter().map(Into::into).collect(),
        }
    }
}

impl ExplainCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let mut session = context.connect().await?;
        let answer = session.client.explain(AuditId { audit_id: self.audit_id }).await?.into_inner();
        context.format.print(&ExplanationView::from(answer), |view| text(view, self.all))?;
        Ok(Outcome::Holds)
    }
}

fn text(view: &ExplanationView, all: bool) -> String {
    let mut blocks = vec![heading(view) + "\n"];
    blocks.push(checks::obstacles(&view.checks));
    if all {
        blocks.push(checks::passed(&view.checks));
    }
    blocks.push(output::pairs(&facts(view)));
    blocks.retain(|block| !block.trim().is_empty());
    blocks.concat()
}

/// `DENIED 2026-09-14T03:12:07Z, entry 41, id 01J9C, 11 of 12 checks passed`
fn heading(view: &ExplanationView) -> String {
    let word = match view.result.as_str() {
        "released" => "RELEASED",
        "refused" => "DENIED",
        "rejected" => "REJECTED",
        "attested" => "ATTESTED",
        "changed" => "CHANGED",
        other => other,
    };
    let entry = view.entry_index.map_or_else(|| "not logged".to_owned(), |index| format!("entry {index}"));
    let time = view.time.as_deref().unwrap_or("at an unknown time");
    let mut heading = format!("{word} {time}, {entry}, id {}", view.audit_id);
    if !view.checks.is_empty() {
        heading = format!("{heading}, {}", checks::tally(&view.checks));
    }
    output::escaped(&heading, false)
}

fn facts(view: &ExplanationView) -> Vec<(&'static str, String)> {
    let claims = view.claims.iter().map(|(name, word)| format!("{name}={word}")).collect::<Vec<_>>().join(" ");
    let changed = view.result == "changed";
    let mut facts = vec![
        ("node", format!("{}  {claims}", view.node)),
        (if changed { "change" } else { "workload" }, view.workload.clone()),
        ("secrets", view.secrets.join(" ")),
    ];
    facts.retain(|(_, value)| !value.trim().is_empty());
    facts.extend(view.places.iter().map(|place| ("plaintext in", place.clone())));
    facts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn check(name: &str, verdict: &str) -> CheckView {
        CheckView {
            name: name.to_owned(),
            verdict: verdict.to_owned(),
            expected: format!("{name} wanted"),
            found: format!("{name} found"),
            origin: if verdict == "fail" { "policy.cedar:14".to_owned() } else { String::new() },
            spec: "a section".to_owned(),
            remedy: format!("correct {name}"),
        }
    }

    fn denied() -> ExplanationView {
        ExplanationView {
            audit_id: "01J9C".to_owned(),
            result: "refused".to_owned(),
            reason: "policy.attribute".to_owned(),
            time: Some("2026-09-14T03:12:07Z".to_owned()),
            entry_index: Some(41),
            node: "cvm-07".to_owned(),
            workload: "payments/payment-api container payment-api, service account default".to_owned(),
            secrets: vec!["pgpass=payments/db".to_owned()],
            claims: BTreeMap::from([("agent".to_owned(), "self-asserted".to_owned()), ("boot".to_owned(), "kernel".to_owned())]),
            places: Vec::new(),
            checks: vec![check("quote.signature", "pass"), check("boot.kernel", "not-appraised"), check("policy.attribute", "fail")],
        }
    }

    #[test]
    fn what_failed_comes_first_then_what_was_not_appraised() {
        let expected = "\
DENIED 2026-09-14T03:12:07Z, entry 41, id 01J9C, 1 of 3 checks passed
x   policy.attribute
      expected  policy.attribute wanted   (policy.cedar:14)
      found     policy.attribute found
      next      correct policy.attribute
?   boot.kernel   boot.kernel found
node      cvm-07  agent=self-asserted boot=kernel
workload  payments/payment-api container payment-api, service account default
secrets   pgpass=payments/db";
        assert_eq!(text(&denied(), false), expected);
        assert!(text(&denied(), true).contains("\nok  quote.signature  quote.signature found   a section\nnode "));
    }

    #[test]
    fn what_was_not_appraised_is_explained_where_nothing_failed() {
        let mut view = denied();
        view.checks.truncate(2);
        assert!(text(&view, false).contains("\n?   boot.kernel\n      expected  boot.kernel wanted\n"));
    }

    #[test]
    fn what_a_node_sent_cannot_write_lines_of_its_own() {
        let mut view = denied();
        view.checks[2].found = "x\nok  everything\u{1b}[2J".to_owned();
        view.node = "n\nRELEASED".to_owned();
        let text = text(&view, true);
        assert!(text.contains("found     x\\nok  everything\\u{1b}[2J"), "{text}");
        assert!(!text.contains("\nRELEASED"), "{text}");
    }

    #[test]
    fn release_names_the_places() {
        let released = ExplanationView { result: "released".to_owned(), places: vec!["the verifier's memory".to_owned()], ..denied() };
        let text = text(&released, false);
        assert!(text.starts_with("RELEASED ") && text.ends_with("plaintext in  the verifier's memory"), "{text}");
    }
}
