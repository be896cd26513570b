//! A node's TPM only goes forward, and what went back is said.

use podseal_appraisal::continuity::NodeState;
use podseal_protocol::{Digest, Limits, binding::PodLogHead};

use super::{
    refused::{By, refused, refused_world, released},
    world::{NOW, World, state_after},
};

/// As the honest quote has it, and older than the honest challenge.
fn before() -> NodeState {
    let none = Digest([0; 32]);
    NodeState { reset_count: 7, restart_count: 2, clock: 90_000, start: none, report: none, pod_log: PodLogHead::NONE, appraised: NOW - 60 }
}

fn world(change: impl FnOnce(&mut NodeState)) -> World {
    let mut state = before();
    change(&mut state);
    World { state: Some(state), ..World::honest() }
}

/// One clock tick back is no power cut; another boot forgives the counters that begin anew.
#[test]
fn honest_node_goes_forward() {
    for (what, state) in [
        ("the same moment", before()),
        ("earlier", NodeState { clock: 80_000, ..before() }),
        ("before a resume", NodeState { restart_count: 1, ..before() }),
        ("the boot before, with more restarts", NodeState { reset_count: 6, restart_count: 9, ..before() }),
        (
            "the boot before, with a pod log",
            NodeState { reset_count: 6, pod_log: PodLogHead { length: 9, head: Digest([1; 32]) }, ..before() },
        ),
    ] {
        let world = World { state: Some(state.clone()), ..World::honest() };
        let run = world.run();
        released(&run);
        let now = run.appraisal.state().unwrap_or_else(|| panic!("{what}"));
        assert_eq!((now.reset_count, now.clock, now.appraised), (7, 90_000, NOW), "{what}");
        assert!(run.appraisal.fork().is_none(), "{what}");
        assert_eq!(now.is_another_boot(&state), state.reset_count == 6, "{what}");
        assert_eq!(NodeState::decode(&now.encode(), &Limits::DEFAULT).as_ref(), Ok(now), "{what}");
    }
}

#[test]
fn first_evidence_is_where_it_begins() {
    let run = World { state: None, ..World::honest() }.run();
    released(&run);
    assert_eq!(run.appraisal.state().map(|state| state.clock), Some(90_000));
}

#[test]
fn reset_count_went_back() {
    forks("node.reset_count", world(|state| state.reset_count = 8));
}

#[test]
fn restart_count_went_back() {
    forks("node.restart_count", world(|state| state.restart_count = 3));
}

#[test]
fn clock_went_back() {
    forks("node.clock", world(|state| state.clock = 90_001));
    // Also over a reset, unless the power was cut.
    let over_a_reset = world(|state| (state.reset_count, state.clock) = (6, 90_001));
    forks("node.clock", over_a_reset.clone());
    released(&World { quote: |quote| quote.safe = false, ..over_a_reset }.run());
    // No power was cut where neither counter moved.
    forks("node.clock", World { quote: |quote| quote.safe = false, ..world(|state| state.clock = 90_001) });
    let long = world(|state| (state.reset_count, state.clock) = (6, 90_001 + (1 << 22)));
    forks("node.clock", World { quote: |quote| quote.safe = false, ..long });
}

#[test]
fn pod_log_became_shorter() {
    let log = PodLogHead { length: 99, head: Digest([1; 32]) };
    forks("node.pod_log_length", world(|state| state.pod_log = log));
}

/// The register tells one story a boot: a log that does not lead through what was proved before is that of another machine.
#[test]
fn pod_log_of_another_past() {
    let honest = World::honest().written().unwrap();
    let stood = |length: u64| state_after(&honest, length).head();
    for length in 1..=honest.head.length {
        let run = world(|state| state.pod_log = stood(length)).run();
        released(&run);
        assert_eq!(run.appraisal.state().map(|state| state.pod_log), Some(honest.head));
        forks("pod_log.one_past", world(|state| state.pod_log = PodLogHead { head: Digest([1; 32]), ..stood(length) }));
    }
    // Sent from where the verifier stands, and from beyond where it was proved: then all of it is asked for.
    let going_on = |length| World { state: Some(NodeState { pod_log: stood(length), ..before() }), ..World::honest().going_on() };
    released(&going_on(honest.head.length).run());
    let mut other = going_on(honest.head.length);
    other.state.as_mut().unwrap().pod_log.head = Digest([1; 32]);
    forks("pod_log.one_past", other);
    assert!(going_on(honest.head.length - 1).run().appraisal.asks_for_more());
    // What did not hold is not kept.
    let mut broken = world(|state| state.pod_log = stood(2));
    broken.pod_log.as_mut().unwrap().extended = |all| all.push(Digest([1; 32]));
    assert_eq!(broken.run().appraisal.state().map(|state| state.pod_log), Some(stood(2)));
}

/// Refused, and said to be a fork: the service puts the node in quarantine.
#[track_caller]
fn forks(rule: &str, world: World) {
    refused_world(&[rule], By::RegisteredNode, rule, &world);
    let run = world.run();
    assert_eq!(run.appraisal.fork().map(|check| check.rule.name), Some(rule));
    assert!(run.appraisal.state().is_none(), "what went back is not where it stands");
}

/// Its challenge is not newer than what was appraised last: the order in which both were collected is not known.
#[test]
fn overtaken_evidence_is_no_fork() {
    let challenged = World::honest().challenge.issued;
    let late = world(|state| (state.clock, state.appraised) = (90_001, challenged + 1));
    refused_world(&["node.overtaken"], By::RegisteredNode, "overtaken", &late);
    assert!(late.run().appraisal.fork().is_none());
    // Under a challenge that is no older it is one: whoever attests all the time hides behind no second.
    forks("node.clock", world(|state| (state.clock, state.appraised) = (90_001, challenged)));
}

/// Nobody else puts a node in quarantine.
#[test]
fn stranger_forks_nobody() {
    let world = World { mac: 2, ..world(|state| state.clock = 90_001) };
    let run = world.run();
    assert!(!run.appraisal.attributable() && run.appraisal.fork().is_none());
}

#[test]
fn node_in_quarantine() {
    let quarantined = |w: &mut World| w.registered.as_mut().unwrap().quarantined = "ops: lost".to_owned();
    refused(&["node.quarantine"], By::RegisteredNode, &[("node.quarantine", quarantined)]);
}
