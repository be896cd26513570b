//! Leaving something out never makes a claim better, and never releases anything.

use std::collections::BTreeMap;

use podseal_appraisal::{
    appraiser::Appraisal,
    claims::{Boot, Claim, PodLog},
    decision::Decision,
};

use super::{
    refused::{By, refused_world, released},
    world::{Run, Sent, World},
};

/// Without what, and the rule that then stands in the way.
type Without = (&'static str, &'static str, fn(&mut World));

const WITHOUT: &[Without] = &[
    ("the quote", "quote.signature", |w| w.on_the_way = |sent| drop(sent.parts.remove(0))),
    ("the boot log", "log.well_formed", |w| w.on_the_way = |sent| drop(sent.parts.remove(1))),
    ("the records of the pod log", "pod_log.well_formed", |w| w.on_the_way = |sent| drop(sent.parts.remove(2))),
    ("any evidence", "quote.signature", |w| w.on_the_way = |sent| sent.parts.clear()),
    ("the spec", "leaf.spec_attached", |w| w.on_the_way = |sent| drop(sent.attachments.remove(0))),
    ("the pod set", "leaf.pod_set_attached", |w| w.on_the_way = |sent| drop(sent.attachments.remove(1))),
    ("the token", "leaf.token_attached", |w| w.on_the_way = |sent| drop(sent.attachments.remove(2))),
    ("any attachment", "leaf.spec_attached", |w| w.on_the_way = |sent| sent.attachments.clear()),
    ("a token in the container", "token.parses", |w| w.pods[0].token_bytes = Some(Vec::new())),
    ("a token, not even an empty one", "token.parses", |w| {
        w.pods[0].token_bytes = Some(Vec::new());
        w.on_the_way = |sent| drop(sent.attachments.pop());
    }),
    ("the node in the token", "token.node", |w| drop(w.pods[0].claims["kubernetes.io"].as_object_mut().unwrap().remove("node"))),
    ("the registration", "node.enrolled", |w| w.registered = None),
    ("the cluster's keys", "leaf.cluster_known", |w| w.cluster = None),
    ("reference values", "policy.claims_appraised", |w| w.references.clear()),
    ("the policy", "policy.in_force", |w| w.policy = None),
    ("the secrets", "secret.exists", |w| w.secrets.clear()),
    ("a log of PCR 8", "log.replays", |w| w.log = Some(super::world::log(&without_register(8)))),
];

fn without_register(pcr: u32) -> Vec<super::world::Event> {
    super::world::measured().into_iter().filter(|event| event.pcr != pcr).collect()
}

#[test]
fn missing_part_never_raises_status() {
    for accepts in [&["host-trusted", "test-root"][..], &["host-trusted", "loader-environment", "test-root"]] {
        let mut honest = World::of_replicas(1);
        honest.secrets.iter_mut().for_each(|secret| secret.accepts = accepts.iter().map(|word| (*word).to_owned()).collect());
        let before = honest.run();
        released(&before);
        for (what, rule, leave_out) in WITHOUT {
            let mut world = honest.clone();
            leave_out(&mut world);
            let after = world.run();
            let Decision::Refuse(refusal) = &after.decisions[0] else { panic!("released without {what}") };
            assert_eq!(refusal.reason(), *rule, "without {what}");
            no_better(what, &before, &after);
        }
    }
}

fn no_better(what: &str, before: &Run, after: &Run) {
    let claims = |run: &Run| run.explanation(0).claims;
    let (was, is) = (claims(before), claims(after));
    for (name, word) in &is {
        let as_before = was.get(name) == Some(word);
        assert!(as_before || word == "not-appraised", "without {what}: {name} went from {:?} to {word}", was.get(name));
    }
    let reach = |appraisal: &Appraisal| appraisal.node_claims().and_then(|claims| claims.boot.appraised().copied()).unwrap_or(Boot::None);
    assert!(reach(&after.appraisal) <= reach(&before.appraisal), "without {what}");
    let workload = |run: &Run| run.appraisal.leaves()[0].workload().cloned();
    if let Some(claimed) = workload(after) {
        assert_eq!(Some(claimed), workload(before), "without {what}");
    }
}

/// A node that keeps no pod log is no better for it: what a log would have said is not appraised, and a policy that asks is not answered.
#[test]
fn pod_log_left_out_never_raises_status() {
    let (kept, none) = (World::of_replicas(1).run(), World::of_replicas(1).without_pod_log().run());
    assert_eq!(none.explanation(0).reason, "policy.forbid", "the baseline refuses it");
    let mut accepting = World::of_replicas(1).without_pod_log();
    accepting.accept("no-pod-log");
    let none = accepting.run();
    released(&none);
    let claims = none.appraisal.node_claims().unwrap();
    assert_eq!(claims.pod_log, Claim::Appraised(PodLog::None));
    assert!(claims.privileged_images.appraised().is_none() && claims.pod_log_gaps.appraised().is_none());
    assert!(claims.agent_exceptions.appraised().is_none());
    assert!(none.appraisal.leaves()[0].workload().unwrap().pod_execs.appraised().is_none());
    let said = |run: &Run, of: bool| {
        let all = run.explanation(0).claims.into_iter();
        all.filter(|(name, _)| ["pod_log", "agent_exceptions"].contains(&name.as_str()) == of).collect::<Vec<_>>()
    };
    assert_eq!(said(&none, false), said(&kept, false));
    let word = |name: &str, word: &str| (name.to_owned(), word.to_owned());
    assert_eq!(said(&none, true), [word("agent_exceptions", "not-appraised"), word("pod_log", "none")]);
    for (condition, rules) in [
        (r#"context.pod_log == "observed""#, &["policy.permit", "policy.attribute"][..]),
        ("context.privileged_images.isEmpty()", &["policy.claims_appraised", "policy.permit"]),
        ("context.agent_exceptions.isEmpty()", &["policy.claims_appraised", "policy.permit"]),
        ("context.pod_log_gaps == 0", &["policy.claims_appraised", "policy.permit"]),
        ("principal.pod_execs == 0", &["policy.claims_appraised", "policy.permit"]),
    ] {
        let mut world = World::of_replicas(1);
        world.policy = world.policy.map(|text| text.replace("context.secure_boot", &format!("context.secure_boot && {condition}")));
        released(&world.run());
        world.accept("no-pod-log");
        refused_world(rules, By::RegisteredNode, condition, &world.without_pod_log());
    }
}

/// Every subset of what a node sends: nothing is released unless all of it is there.
#[test]
fn missing_parts_together_never_release() {
    let mut refused = BTreeMap::new();
    for kept in 0_u32..64 {
        let mut world = World::of_replicas(1);
        world.on_the_way = KEEP[kept as usize];
        let run = world.run();
        if let Decision::Refuse(refusal) = &run.decisions[0] {
            refused.insert(kept, refusal.reason());
        }
    }
    assert_eq!(refused.keys().copied().collect::<Vec<_>>(), (0..63).collect::<Vec<_>>());
}

/// `KEEP[n]` keeps of [quote, log, pod log, spec, pod set, token] those whose bit is set in n.
const KEEP: [fn(&mut Sent); 64] = {
    macro_rules! keep {
        ($($n:literal)+) => { [$(|sent| keep(sent, $n)),+] };
    }
    keep!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
        48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    )
};

fn keep(sent: &mut Sent, bits: u32) {
    let mut position = 0..;
    let mut kept = || position.next().is_some_and(|at: u32| bits >> at & 1 == 1);
    sent.parts.retain(|_| kept());
    sent.attachments.retain(|_| kept());
}
