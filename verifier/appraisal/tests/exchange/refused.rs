//! How an attack is shown: its honest twin is released, it is refused, and by which steps and no others.

use std::collections::BTreeSet;

use podseal_appraisal::{
    check::Verdict,
    decision::{Decision, Refusal},
};
use podseal_protocol::{Digest, exchange::Outcome};

use super::world::{Run, World};

/// What is changed about an honest exchange, and the change.
pub(crate) type Attack = (&'static str, fn(&mut World));

/// Whether a registered node sent it for this challenge: refused, and logged. Otherwise rejected, and only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    RegisteredNode,
    Anybody,
}

/// Each of `attacks` fails at `rules` and at nothing else; the first of them is the reason.
#[track_caller]
pub(crate) fn refused(rules: &[&str], by: By, attacks: &[Attack]) {
    released(&World::honest().run());
    for (what, change) in attacks {
        let mut world = World::honest();
        change(&mut world);
        refused_world(rules, by, what, &world);
    }
}

#[track_caller]
pub(crate) fn refused_world(rules: &[&str], by: By, what: &str, world: &World) {
    let run = world.run();
    let refusal = refusal(&run, 0).unwrap_or_else(|| panic!("{what}: released"));
    let failing = failing(refusal, Verdict::Fail);
    assert_eq!(Some(&refusal.reason()), rules.first(), "{what}: {:#?}", obstacles(refusal));
    assert_eq!(failing, rules.iter().copied().collect::<BTreeSet<_>>(), "{what}: {:#?}", obstacles(refusal));
    assert_eq!(refusal.attributable(), by == By::RegisteredNode, "{what}");
    assert_eq!(run.explanation(0).result, if by == By::RegisteredNode { "refused" } else { "rejected" }, "{what}");
    answer_tells_nothing(what, refusal);
}

/// Every leaf gets its secrets.
#[track_caller]
pub(crate) fn released(run: &Run) {
    assert!(!run.decisions.is_empty());
    for index in 0..run.decisions.len() {
        if let Some(refusal) = refusal(run, index) {
            panic!("leaf {index} refused at {}: {:#?}", refusal.reason(), obstacles(refusal));
        }
    }
}

pub(crate) fn refusal(run: &Run, index: usize) -> Option<&Refusal> {
    match &run.decisions[index] {
        Decision::Release(_) => None,
        Decision::Refuse(refusal) => Some(refusal),
    }
}

pub(crate) fn failing(refusal: &Refusal, verdict: Verdict) -> BTreeSet<&'static str> {
    refusal.checks().iter().filter(|check| check.verdict == verdict).map(|check| check.rule.name).collect()
}

fn obstacles(refusal: &Refusal) -> Vec<(&str, &str, &str)> {
    let open = refusal.checks().iter().filter(|check| check.verdict != Verdict::Pass);
    open.map(|check| (check.rule.name, check.verdict.as_str(), check.found.as_ref())).collect()
}

/// The answer to the node holds the name of a rule, and nothing of what would have passed or what was found.
pub(crate) fn answer_tells_nothing(what: &str, refusal: &Refusal) {
    let reason = refusal.reason();
    assert!(refusal.checks().iter().any(|check| check.rule.name == reason), "{what}: {reason} is no rule");
    assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_')), "{what}: {reason}");
    let outcome = Outcome::Refused { reason: reason.to_owned(), audit_id: "0".to_owned() };
    let reply = podseal_protocol::exchange::ExchangeReply { next_challenge: Vec::new(), outcomes: vec![(Digest([0; 32]), outcome)] };
    let sent = String::from_utf8_lossy(&reply.encode()).into_owned();
    for check in refusal.checks().iter().filter(|check| check.expected.len() > 8) {
        assert!(!sent.contains(check.expected.as_ref()), "{what}: the answer has what {} expected", check.rule.name);
    }
}
