//! A report as it is shown: the verdict, what it rests on, every check, the claims.

use podseal_appraisal::report::{Finding, Report};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{checks::CheckView, output};

/// A report in JSON; docs/AUDITING.md has the schema.
#[derive(Debug, Serialize)]
pub(super) struct ReportView {
    /// `verified`, `refused`, `incomplete`, `rejected` or `malformed`.
    verdict: &'static str,
    /// `snp-report`, `tdx-quote`, …; null where nothing was recognised.
    kind: Option<&'static str>,
    /// What the verdict rests on; null where it rests on nothing.
    anchor: Option<String>,
    /// What the evidence says.
    claims: Map<String, Value>,
    /// Every step.
    checks: Vec<StagedCheck>,
    /// What would have to be there as well.
    missing: Vec<MissingView>,
    /// What did not parse.
    malformed: Vec<MalformedView>,
    /// Files that are no part of any evidence known here.
    ignored: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StagedCheck {
    /// `authenticity`: a failure rejects. `policy`: a failure refuses.
    stage: &'static str,
    #[serde(flatten)]
    check: CheckView,
}

#[derive(Debug, Serialize)]
struct MissingView {
    part: &'static str,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct MalformedView {
    file: String,
    why: String,
}

impl ReportView {
    pub(super) fn of(report: Report) -> Self {
        let staged = |finding: &Finding| StagedCheck { stage: finding.stage.as_str(), check: CheckView::from(&finding.check) };
        Self {
            verdict: report.verdict.as_str(),
            kind: report.kind.map(podseal_appraisal::report::Kind::as_str),
            anchor: (!report.anchors.is_empty()).then(|| report.anchors.join("; ")),
            claims: report.claims,
            checks: report.checks.iter().map(staged).collect(),
            missing: report.missing.iter().map(|missing| MissingView { part: missing.part, why: missing.why }).collect(),
            malformed: report.malformed.into_iter().map(|one| MalformedView { file: one.file, why: one.why }).collect(),
            ignored: report.ignored,
        }
    }

    /// For people: the verdict first, then why, then what was said.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}  {}\n", self.verdict.to_uppercase(), self.kind.unwrap_or("nothing recognised"));
        if let Some(anchor) = &self.anchor {
            text += &format!("rests on  {}\n", output::escaped(anchor, false));
        }
        text.extend(self.malformed.iter().map(|one| format!("x   {}: {}\n", line(&one.file), line(&one.why))));
        text.extend(self.missing.iter().map(|missing| format!("?   missing {}: {}\n", missing.part, missing.why)));
        text += &self.steps();
        text.extend(self.ignored.iter().map(|file| format!("-   {}: ignored, no part of any evidence known here\n", line(file))));
        if !self.claims.is_empty() {
            let claims = serde_json::to_string_pretty(&self.claims).unwrap_or_default();
            // What nothing proves is no claim to rely on, and says so where it stands.
            let of = if ["verified", "refused"].contains(&self.verdict) { "claims" } else { "claims, not proved:" };
            text += &format!("{of} {claims}\n");
        }
        text
    }

    fn steps(&self) -> String {
        let width = self.checks.iter().map(|staged| staged.check.name.len()).max().unwrap_or_default();
        let step = |staged: &StagedCheck| {
            let check = &staged.check;
            let (name, expected, found) = (line(&check.name), line(&check.expected), line(&check.found));
            match check.verdict.as_str() {
                "pass" => format!("ok  {name:<width$}  {found}   {}\n", check.spec),
                verdict => {
                    let (mark, means) = match (verdict, staged.stage) {
                        ("fail", "policy") => ("x", "refused by the default policy"),
                        ("fail", _) => ("x", "not authentic"),
                        _ => ("?", "not appraised"),
                    };
                    format!(
                        "{mark:<3} {name:<width$}  {means}   {}\n      expected  {expected}\n      found     {found}\n      next      {}\n",
                        check.spec, check.remedy
                    )
                }
            }
        };
        self.checks.iter().map(step).collect()
    }
}

fn line(text: &str) -> String {
    output::escaped(text, false)
}
