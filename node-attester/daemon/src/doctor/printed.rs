//! A diagnosis as text, and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Diagnosis, Outcome, Source};
use podseal_protocol::hex;

impl Diagnosis {
    /// For people; ends with what to do next.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Source { name, place, outcome } in &self.sources {
            let _ = match outcome {
                Outcome::Absent => writeln!(text, "absent     {name:<14} {place}"),
                Outcome::Failed(error) => writeln!(text, "failed     {name:<14} {place}\n           {error}"),
                Outcome::Collected(_) => writeln!(text, "collected  {name:<14} {place}"),
            };
            let Outcome::Collected(finding) = outcome else { continue };
            for (fact, value) in &finding.facts {
                let _ = writeln!(text, "           {fact:<14} {value}");
            }
            for (file, bytes) in &finding.files {
                let _ = writeln!(text, "           {:<14} {} bytes", format!("{}/{file}", finding.folder), bytes.len());
            }
        }
        text.push_str(&self.next().join("\n"));
        text
    }

    /// The commands that come next.
    fn next(&self) -> Vec<String> {
        let folders = self.folders();
        match &self.saved {
            _ if folders.is_empty() => vec!["no evidence to verify".to_owned()],
            None => vec!["next: run this again with --save DIR, then: podseal report verify DIR/FOLDER".to_owned()],
            Some(saved) => {
                let command = |folder: &str| format!("next: podseal report verify {}", saved.join(folder).display());
                folders.into_iter().map(command).collect()
            }
        }
    }

    /// For programs (docs/OPERATING.md).
    #[must_use]
    pub fn json(&self) -> String {
        let sources: Vec<Value> = self.sources.iter().map(source).collect();
        let whole = json!({
            "works": self.works(),
            "report_data": hex::encode(&self.report_data),
            "saved": self.saved,
            "sources": sources,
        });
        whole.to_string()
    }
}

fn source(source: &Source) -> Value {
    let (outcome, more) = match &source.outcome {
        Outcome::Absent => ("absent", Map::new()),
        Outcome::Failed(error) => ("failed", Map::from_iter([("error".to_owned(), json!(error))])),
        Outcome::Collected(finding) => {
            let facts: Map<_, _> = finding.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let file = |(name, bytes): &(&str, Vec<u8>)| json!({"name": format!("{}/{name}", finding.folder), "bytes": bytes.len()});
            let files: Vec<_> = finding.files.iter().map(file).collect();
            ("collected", Map::from_iter([("facts".to_owned(), Value::Object(facts)), ("files".to_owned(), json!(files))]))
        }
    };
    let mut value = Map::from_iter([
        ("source".to_owned(), json!(source.name)),
        ("place".to_owned(), json!(source.place)),
        ("outcome".to_owned(), json!(outcome)),
    ]);
    value.extend(more);
    Value::Object(value)
}
