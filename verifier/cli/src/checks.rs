//! Checks as they are shown: what did not pass comes first, with expected, found and what to do next.

use podseal_appraisal::check::{Check, Verdict};
use podseal_wire as wire;
use serde::Serialize;

use crate::output;

/// One step, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CheckView {
    pub(crate) name: String,
    /// `pass`, `fail` or `not-appraised`
    pub(crate) verdict: String,
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) origin: String,
    pub(crate) spec: String,
    pub(crate) remedy: String,
}

impl From<&Check> for CheckView {
    fn from(check: &Check) -> Self {
        Self {
            name: check.rule.name.to_owned(),
            verdict: check.verdict.as_str().to_owned(),
            expected: check.expected.clone().into_owned(),
            found: check.found.clone().into_owned(),
            origin: check.origin.clone().into_owned(),
            spec: check.rule.spec.to_owned(),
            remedy: check.rule.remedy.to_owned(),
        }
    }
}

impl From<wire::Check> for CheckView {
    fn from(check: wire::Check) -> Self {
        let wire::Check { name, verdict, expected, found, origin, spec, remedy } = check;
        Self { name, verdict, expected, found, origin, spec, remedy }
    }
}

impl CheckView {
    fn passed(&self) -> bool {
        self.verdict == Verdict::Pass.as_str()
    }

    fn mark(&self) -> &'static str {
        match self.verdict.as_str() {
            "pass" => "ok",
            "fail" => "x",
            _ => "?",
        }
    }
}

/// `11 of 12 checks passed`.
pub(crate) fn tally(checks: &[CheckView]) -> String {
    format!("{} of {} checks passed", checks.iter().filter(|check| check.passed()).count(), checks.len())
}

/// What did not pass: failures in full, then what was not appraised; that in full only where nothing failed, since it mostly follows.
pub(crate) fn obstacles(checks: &[CheckView]) -> String {
    let (failed, not_appraised): (Vec<_>, Vec<_>) = checks.iter().filter(|check| !check.passed()).partition(|check| check.mark() == "x");
    let mut text: String = failed.iter().map(|check| in_full(check)).collect();
    for check in not_appraised {
        let brief = || format!("?   {}   {}\n", one_line(&check.name), one_line(&check.found));
        text.push_str(&if failed.is_empty() { in_full(check) } else { brief() });
    }
    text
}

fn in_full(check: &CheckView) -> String {
    let origin = if check.origin.is_empty() { String::new() } else { format!("   ({})", one_line(&check.origin)) };
    let (name, expected, found, next) = (one_line(&check.name), one_line(&check.expected), one_line(&check.found), one_line(&check.remedy));
    let mark = check.mark();
    format!("{mark:<3} {name}\n      expected  {expected}{origin}\n      found     {found}\n      next      {next}\n")
}

/// Every step that passed, one a line, with its specification.
pub(crate) fn passed(checks: &[CheckView]) -> String {
    let rows: Vec<&CheckView> = checks.iter().filter(|check| check.passed()).collect();
    let width = rows.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let line = |check: &&CheckView| {
        let (name, found, spec) = (one_line(&check.name), one_line(&check.found), one_line(&check.spec));
        format!("ok  {name:<width$}  {found}   {spec}\n")
    };
    rows.iter().map(line).collect()
}

fn one_line(text: &str) -> String {
    output::escaped(text, false)
}
