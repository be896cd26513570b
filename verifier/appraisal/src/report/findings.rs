//! What an appraisal of files found so far.

use super::verdict::{Kind, Report, Verdict};
use crate::check::{Check, Checks, Rule, Verdict as Outcome};
use serde_json::{Map, Value};
use std::fmt::Display;

/// At most one part of each sort: of two, nobody knows which the verdict is about.
pub(super) static REPORT_ONE_OF_EACH: Rule = Rule {
    name: "report.one_of_each",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Verify each report by itself: one folder has the parts of one piece of evidence.",
};

/// Every part is of use to the kind of evidence that the parts are together. Two pieces of evidence say nothing about one machine unless
/// hardware signed a link between them.
pub(super) static REPORT_ONE_KIND: Rule = Rule {
    name: "report.one_kind",
    spec: "docs/AUDITING.md, report verify; RFC 9334, 3.3",
    remedy: "Verify each report by itself: one of the files belongs to evidence of another kind.",
};

/// What a step decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Whether the evidence is authentic and its parts belong together; a failure rejects.
    Authenticity,
    /// Whether the shipped default policy would release anything on it; a failure refuses.
    Policy,
}

impl Stage {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticity => "authenticity",
            Self::Policy => "policy",
        }
    }
}

/// One step with its outcome.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it decides about.
    pub stage: Stage,
    /// The step.
    pub check: Check,
}

/// Something that is not there, and would change the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Short and stable: `quote.sig`, `vcek`, `tcb_info`.
    pub part: &'static str,
    /// What it is and what it is wanted for.
    pub why: &'static str,
}

/// A file that is not what it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Its name.
    pub file: String,
    /// What is wrong.
    pub why: String,
}

/// The notes of one appraisal.
#[derive(Debug)]
pub(super) struct Findings {
    /// Steps that decide whether the evidence is authentic.
    pub(super) authenticity: Checks,
    /// Steps that decide whether the default policy would release.
    pub(super) policy: Checks,
    claims: Map<String, Value>,
    anchors: Vec<String>,
    missing: Vec<Missing>,
    malformed: Vec<Malformed>,
    ignored: Vec<String>,
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            authenticity: Checks::owing(&[]),
            policy: Checks::owing(&[]),
            claims: Map::new(),
            anchors: Vec::new(),
            missing: Vec::new(),
            malformed: Vec::new(),
            ignored: Vec::new(),
        }
    }
}

impl Findings {
    /// Tells what the evidence says.
    pub(super) fn claim(&mut self, name: &str, value: impl Into<Value>) {
        self.claims.insert(name.to_owned(), value.into());
    }

    /// Tells what the verdict rests on.
    pub(super) fn anchor(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.anchors.contains(&text) {
            self.anchors.push(text);
        }
    }

    /// Tells what is not there, and would change the verdict.
    pub(super) fn missing(&mut self, part: &'static str, why: &'static str) {
        let missing = Missing { part, why };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// Tells that `file` is not what it has to be.
    pub(super) fn malformed(&mut self, file: &str, why: impl Display) {
        self.malformed.push(Malformed { file: file.to_owned(), why: why.to_string() });
    }

    /// Tells that `file` is no part of any evidence known here.
    pub(super) fn ignored(&mut self, file: &str) {
        self.ignored.push(file.to_owned());
    }

    /// No file is evidence: a file that nobody knows may have been meant as such, and without one there is nothing at all.
    pub(super) fn nothing_recognised(&mut self) {
        match self.ignored.first().cloned() {
            Some(file) => self.malformed(&file, "it is evidence of no form known here"),
            None => self.missing("evidence", "no file is a report, quote, document, log, token or certificate"),
        }
    }

    /// The report. The worst that applies is the verdict.
    pub(super) fn conclude(self, kind: Option<Kind>) -> Report {
        let staged = |stage, checks: Checks| checks.finish().into_iter().map(move |check| Finding { stage, check });
        let checks = staged(Stage::Authenticity, self.authenticity).chain(staged(Stage::Policy, self.policy)).collect::<Vec<_>>();
        let failed = |stage| checks.iter().any(|finding| finding.stage == stage && finding.check.verdict == Outcome::Fail);
        let appraised = |stage| checks.iter().any(|finding| finding.stage == stage && finding.check.verdict == Outcome::Pass);
        let open = checks.iter().any(|finding| finding.check.verdict == Outcome::NotAppraised);
        let verdict = if !self.malformed.is_empty() {
            Verdict::Malformed
        } else if failed(Stage::Authenticity) {
            Verdict::Rejected
        } else if !self.missing.is_empty() || open || !(appraised(Stage::Authenticity) || failed(Stage::Policy)) {
            Verdict::Incomplete
        } else if failed(Stage::Policy) {
            Verdict::Refused
        } else {
            Verdict::Verified
        };
        Report {
            verdict,
            kind,
            anchors: self.anchors,
            claims: self.claims,
            checks,
            missing: self.missing,
            malformed: self.malformed,
            ignored: self.ignored,
        }
    }
}
