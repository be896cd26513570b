//! One entry of the log and what the archive has for it, judged on this machine. Pure.

use std::collections::BTreeMap;

use podseal_appraisal::{
    check::{Check, Checks, Rule},
    entry::{Entry, EntryKind},
    explanation::{ExplainedCheck, Explanation},
    recheck::{Rechecked, recheck, role},
};
use podseal_protocol::{Digest, Limits};

/// The archive speaks of the entry that the log has.
pub(crate) static LOGGED: Rule = Rule {
    name: "recheck.logged",
    spec: "docs/ARCHITECTURE.md, log and archive",
    remedy: "The archive's entry is not the log's: run podseal log verify, and compare the store with its backup.",
};
/// Every object has the digest that the entry names.
pub(crate) static OBJECTS: Rule = Rule {
    name: "recheck.objects",
    spec: "docs/PROTOCOL.md, podseal.entry.v1: objects",
    remedy: "Restore the archive directory from its backup; an object with another digest was altered.",
};
/// The decision comes out the same.
pub(crate) static DECISION: Rule = Rule {
    name: "recheck.decision",
    spec: "docs/ARCHITECTURE.md, re-deciding",
    remedy: "Compare the engine in the entry with this program's version; with the same engine, keep entry and archive as evidence.",
};

/// Judges one entry; a change of state has no decision that could be taken anew.
pub(crate) fn redecide(entry: &Entry, logged: bool, objects: &BTreeMap<String, Vec<u8>>) -> Vec<Check> {
    let decided = entry.kind != EntryKind::Changed;
    let mut checks = owing(decided);
    let word = if logged { "that entry" } else { "another entry, or none" };
    checks.record(&LOGGED, logged, "the entry that the log has", word);
    let (expected, found) = ("every object under the digest that the entry names", deviating(entry, objects));
    let intact = checks.record(&OBJECTS, found.is_none(), expected, found.unwrap_or_else(|| format!("{} objects", objects.len())));
    if decided && intact {
        match recheck(entry, objects, &Limits::DEFAULT) {
            Ok(rechecked) => {
                let found = if rechecked.same { "the same".to_owned() } else { difference(entry, &rechecked) };
                checks.record(&DECISION, rechecked.same, "the recorded decision", found);
            }
            Err(error) => checks.not_appraised(&DECISION, error.to_string()),
        }
    }
    checks.finish()
}

/// An entry for which the verifier gave nothing out of its archive, and what it answered instead.
pub(crate) fn unarchived(entry: &Entry, answer: &str) -> Vec<Check> {
    let mut checks = owing(entry.kind != EntryKind::Changed);
    checks.not_appraised(&OBJECTS, format!("the verifier gave none out: {answer}"));
    checks.finish()
}

fn owing(decided: bool) -> Checks {
    let mut checks = Checks::owing(&[&LOGGED, &OBJECTS]);
    if decided {
        checks.also_owing(&[&DECISION]);
    }
    checks
}

/// The first object that is missing or another; of the ciphertext, which went to the container, only the digest was kept.
fn deviating(entry: &Entry, objects: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let kept = entry.objects.iter().filter(|(role, _)| role != role::CIPHERTEXT);
    kept.filter_map(|(role, digest)| match objects.get(role) {
        None => Some(format!("nothing in the role {role}")),
        Some(bytes) if Digest::of(bytes) != *digest => Some(format!("{role} with digest {}, named is {digest}", Digest::of(bytes))),
        Some(_) => None,
    })
    .next()
}

/// The first thing in which the decisions differ.
fn difference(entry: &Entry, rechecked: &Rechecked) -> String {
    let (recorded, now) = (&rechecked.recorded, &rechecked.now);
    let brief = |e: &Explanation| format!("{} {}", e.result, e.reason).trim_end().to_owned();
    if brief(recorded) != brief(now) {
        return format!("{}, recorded is {}", brief(now), brief(recorded));
    }
    if (recorded.result == "released") != (entry.kind == EntryKind::Released) {
        return format!("{}, and the entry says {}", recorded.result, entry.kind.as_str());
    }
    let say =
        |check: Option<&ExplainedCheck>| check.map_or_else(|| "nothing".to_owned(), |c| format!("{} {} ({})", c.name, c.verdict, c.found));
    let longest = recorded.checks.len().max(now.checks.len());
    let differs = (0..longest).find(|index| recorded.checks.get(*index) != now.checks.get(*index));
    differs.map_or_else(
        || "other claims, secrets or binding".to_owned(),
        |index| format!("check {}: {}, recorded is {}", index + 1, say(now.checks.get(index)), say(recorded.checks.get(index))),
    )
}

#[cfg(test)]
mod tests;
