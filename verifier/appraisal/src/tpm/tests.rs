//! Each rule of AK, EK and quote: the honest twin passes, the attack fails at that rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ak;
mod credential;
mod ecc;
mod ek;
pub(crate) mod forge;
mod never_panics;
mod quote;

use crate::check::{Checks, Rule, Verdict};

/// Runs one appraisal under `rules`; what it returned, and the names of the rules that did not pass.
pub(crate) fn appraise<T>(rules: &[&'static Rule], run: impl FnOnce(&mut Checks) -> Option<T>) -> (Option<T>, Vec<&'static str>) {
    let mut checks = Checks::owing(rules);
    let result = run(&mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect();
    (result, failed)
}
