//! One verification step, and the list that they all end up in.
//!
//! Verdict, reason code, `explain` and the archive are folds over this list. Each step is declared once, as a [`Rule`]; a rule that an
//! evidence kind owes and that nobody recorded counts as [`Verdict::NotAppraised`], so an early return can never pass for a success.

use std::borrow::Cow;

use podseal_protocol::Digest;

/// Longest text of a check, in bytes; of a longer one its beginning and its digest are told.
const TOLD: usize = 4096;

/// What one verification step is: its stable name, where its specification stands, and what an operator does when it fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable, dotted, lower case: `quote.signature`. Part of the public interface (logs, `explain`, policies of alerting).
    pub name: &'static str,
    /// Document and section that demand the step: `TCG TPM 2.0 Part 3, 18.4`.
    pub spec: &'static str,
    /// What to do about a failure, one sentence.
    pub remedy: &'static str,
}

/// Outcome of one step. There is no fourth value: absent is not "pass".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The step was carried out and holds.
    Pass,
    /// Nothing was there to carry the step out on.
    NotAppraised,
    /// The step was carried out and does not hold.
    Fail,
}

impl Verdict {
    /// The word used in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotAppraised => "not-appraised",
            Self::Fail => "fail",
        }
    }
}

/// A step with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which step.
    pub rule: &'static Rule,
    /// What would have passed. For the operator only: it never travels to a node.
    pub expected: Cow<'static, str>,
    /// What was there.
    pub found: Cow<'static, str>,
    /// Where `expected` came from: a reference set, a policy line, a configuration key. Empty where the specification itself says it.
    pub origin: Cow<'static, str>,
    /// How it ended.
    pub verdict: Verdict,
}

/// The list of steps of one appraisal, node or workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    owed: Vec<&'static Rule>,
    list: Vec<Check>,
}

impl Checks {
    /// A list in which each of `owed` counts as not appraised until it is recorded.
    #[must_use]
    pub fn owing(owed: &[&'static Rule]) -> Self {
        Self { owed: owed.to_vec(), list: Vec::with_capacity(owed.len()) }
    }

    /// Adds rules that became due while appraising (a part that turned up in the evidence).
    pub fn also_owing(&mut self, owed: &[&'static Rule]) {
        self.owed.extend_from_slice(owed);
    }

    /// Records the outcome of one step and says whether it holds.
    pub fn record(
        &mut self,
        rule: &'static Rule,
        holds: bool,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> bool {
        self.record_from("", rule, holds, expected, found)
    }

    /// As [`Checks::record`], naming where `expected` came from. The only place where a step is decided.
    pub fn record_from(
        &mut self,
        origin: impl Into<Cow<'static, str>>,
        rule: &'static Rule,
        holds: bool,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> bool {
        let verdict = if holds { Verdict::Pass } else { Verdict::Fail };
        self.list.push(Check { rule, expected: clipped(expected.into()), found: clipped(found.into()), origin: origin.into(), verdict });
        holds
    }

    /// Says that a step could not be carried out, and why.
    pub fn not_appraised(&mut self, rule: &'static Rule, why: impl Into<Cow<'static, str>>) {
        self.list.push(Check {
            rule,
            expected: Cow::Borrowed("something to appraise"),
            found: clipped(why.into()),
            origin: Cow::Borrowed(""),
            verdict: Verdict::NotAppraised,
        });
    }

    /// Takes over the steps of another list (a sub-appraisal), what it owes included.
    pub fn absorb(&mut self, other: Self) {
        self.owed.extend(other.owed);
        self.list.extend(other.list);
    }

    /// Every step, in the order carried out, followed by those owed and never recorded.
    #[must_use]
    pub fn finish(mut self) -> Vec<Check> {
        for rule in std::mem::take(&mut self.owed) {
            if !self.list.iter().any(|c| std::ptr::eq(c.rule, rule)) {
                self.not_appraised(rule, "nobody carried this step out");
            }
        }
        self.list
    }
}

/// What is told of a value that its sender chose: the explanation of one leaf names many of them, and is archived.
fn clipped(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= TOLD {
        return text;
    }
    let end = text.floor_char_boundary(TOLD);
    let (begin, _) = text.split_at(end);
    Cow::Owned(format!("{begin}… ({} bytes, SHA-256 {})", text.len(), Digest::of(text.as_bytes())))
}

/// The worst verdict of a list; an empty list is not a pass.
#[must_use]
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|c| c.verdict).max().unwrap_or(Verdict::NotAppraised)
}

/// The first step that did not pass: the one that a refusal names.
#[must_use]
pub fn first_obstacle(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|c| c.verdict == Verdict::Fail).or_else(|| checks.iter().find(|c| c.verdict != Verdict::Pass))
}
