//! The pod log on a real register, in the hands of somebody who would rather not show all of it.

use podseal_protocol::binding::PodLogHead;
use podseal_protocol::exchange::Outcome as LeafOutcome;
use podseal_protocol::pod_log::{Event, Record, Register, Started};
use podseal_protocol::{Digest, Limits, PodContainer, PodSet};
use podseal_swtpm_tests::site::counterfeit::{Claim, Plan, started};
use podseal_swtpm_tests::site::machine::EXCEPTION;
use podseal_swtpm_tests::site::{Counterfeit, Site};

use crate::fixtures::Fixtures;
use crate::replay::entries_of;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("empty_pod_log_is_not_clean", empty_pod_log_is_not_clean),
    ("pod_log_register_mismatch", pod_log_register_mismatch),
    ("pod_log_record_removed", pod_log_record_removed),
    ("register_not_zero_at_start", register_not_zero_at_start),
    ("extended_behind_our_back", extended_behind_our_back),
    ("ephemeral_container_ends_session", ephemeral_container_ends_session),
    ("forged_leaf_by_node_root", forged_leaf_by_node_root),
    ("pod_log_is_sent_once_and_again_when_asked", pod_log_is_sent_once_and_again_when_asked),
];

const NEVER: &str = "a container that never was";

type Failure = Box<dyn std::error::Error>;

/// What the verifier makes of an honest plan with one change.
fn refused_with(site: &Site, fake: &Counterfeit, change: impl FnOnce(&mut Plan)) -> Result<String, Failure> {
    let mut plan = fake.plan(&[&fake.claim()?])?;
    change(&mut plan);
    let answer = fake.send(&fake.collect(plan)?)?.remove(0);
    let explained = answer.refused(site)?;
    assert_eq!(explained.result(), "refused", "{}", explained.told());
    assert_eq!(explained.obstacles().first(), Some(&answer.reason()), "{}", explained.told());
    Ok(answer.reason().to_owned())
}

/// Another start, as the first was.
fn restarted() -> Event {
    Event::AttesterRestarted { exceptions: vec![EXCEPTION.to_owned()] }
}

fn says(plan: &mut Plan, head: PodLogHead) {
    (plan.signed.pod_log, plan.evidence.pod_log) = (head, head);
}

fn empty_pod_log_is_not_clean(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol_unlogged(site, "empty-log", "empty-log")?;
    // The register was never extended, and the log that leads to it has no record.
    let empty = |plan: &mut Plan| {
        plan.pcrs.push(13);
        plan.pod_log = Some((0, Vec::new()));
    };
    assert_eq!(refused_with(site, &fake, empty)?, "pod_log.boot");
    fake.keep_pod_log()?;
    assert_eq!(refused_with(site, &fake, |plan| plan.pod_log = Some((0, Vec::new())))?, "pod_log.boot");
    assert_eq!(refused_with(site, &fake, |plan| plan.pod_log = None)?, "pod_log.well_formed");
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    Ok(())
}

fn pod_log_register_mismatch(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "log-mismatch", "log-mismatch")?;
    let log = fake.pod_log().ok_or("a log")?;
    let longer = PodLogHead { length: log.head.length + 1, ..log.head };
    assert_eq!(refused_with(site, &fake, |plan| says(plan, longer))?, "pod_log.register");
    assert_eq!(refused_with(site, &fake, |plan| says(plan, PodLogHead::NONE))?, "pod_log.register");
    // One record more than was extended.
    let more = Record { number: log.head.length, event: restarted() };
    let forged = |plan: &mut Plan| {
        says(plan, log.head.and(&more.digest()));
        plan.pod_log = Some((0, [log.bytes(0), more.encode(Register::TPM)].concat()));
    };
    assert_eq!(refused_with(site, &fake, forged)?, "pod_log.register");
    // The log without its register, and the register without its log.
    assert_eq!(refused_with(site, &fake, |plan| plan.pcrs.retain(|pcr| *pcr != 13))?, "quote.selection");
    let unlogged = |plan: &mut Plan| {
        says(plan, PodLogHead::NONE);
        plan.pod_log = None;
    };
    assert_eq!(refused_with(site, &fake, unlogged)?, "quote.selection");
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    Ok(())
}

fn pod_log_record_removed(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "log-removed", "log-removed")?;
    let claim = fake.claim()?;
    let other = Started { privileged: true, pod_uid: "another".into(), ..started(&claim, "privileged") };
    fake.happened(Event::Started(other))?;
    fake.happened(Event::Ended { container_id: "privileged".into() })?;
    let log = fake.pod_log().ok_or("a log")?;
    for gone in 1..log.records.len() {
        let mut records = log.records.clone();
        records.remove(gone);
        let cut = records.iter().flat_map(|record| record.encode(Register::TPM)).collect::<Vec<_>>();
        let last = gone == log.records.len() - 1;
        let reason = refused_with(site, &fake, |plan| plan.pod_log = Some((0, cut)))?;
        assert_eq!(reason, if last { "pod_log.register" } else { "pod_log.well_formed" }, "record {gone}");
        (0..).zip(&mut records).for_each(|(number, record)| record.number = number);
        let digests: Vec<Digest> = records.iter().map(Record::digest).collect();
        let head = digests.iter().fold(PodLogHead::NONE, PodLogHead::and);
        let renumbered = |plan: &mut Plan| {
            says(plan, head);
            plan.pod_log = Some((0, records.iter().flat_map(|record| record.encode(Register::TPM)).collect()));
        };
        assert_eq!(refused_with(site, &fake, renumbered)?, "pod_log.register", "record {gone}, the others renumbered");
    }
    fake.ask_one(&claim)?.delivered(site)?;
    Ok(())
}

fn register_not_zero_at_start(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut fake = Counterfeit::enrol_unlogged(site, "log-start", "log-start")?;
    let something = Digest::of(b"something that the boot log does not have");
    fake.extend(&something)?;
    fake.begin_pod_log(PodLogHead::NONE.and(&something).head)?;
    assert_eq!(refused_with(site, &fake, |_| ())?, "pod_log.prior");
    fake.reboot(site.boot())?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    Ok(())
}

fn extended_behind_our_back(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "log-behind", "log-behind")?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    fake.extend(&Digest::of(b"something"))?;
    assert_eq!(refused_with(site, &fake, |_| ())?, "pod_log.register");
    // Nothing that is written afterwards brings it back.
    fake.happened(restarted())?;
    assert_eq!(refused_with(site, &fake, |_| ())?, "pod_log.register");
    Ok(())
}

fn ephemeral_container_ends_session(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "log-ephemeral", "log-ephemeral")?;
    let claim = fake.claim()?;
    fake.ask_one(&claim)?.delivered(site)?;
    fake.happened(Event::Started(Started { container: "debugger".into(), ..started(&claim, "ephemeral") }))?;
    assert_eq!(refused_with(site, &fake, |_| ())?, "pod_log.pod");
    fake.happened(Event::Ended { container_id: "ephemeral".into() })?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    fake.happened(Event::Exec { container_id: claim.leaf.container_id, exec_id: "kubectl-exec".into() })?;
    assert_eq!(refused_with(site, &fake, |_| ())?, "pod_log.exec");
    Ok(())
}

/// Root of a node makes up a container that never was, and keeps the pod log to fit: nothing on this machine measures who says so. Where the secret's
/// owner relies on a measured agent it is refused; where the owner trusts the host, the receipt says on whose word.
fn forged_leaf_by_node_root(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "forged-leaf", "forged-leaf")?;
    let forged = || -> Result<Claim, Failure> {
        let claim = fake.claim()?.with_leaf(|leaf| leaf.container_id = NEVER.into());
        let pod = PodSet::decode(&claim.pod_set, &Limits::DEFAULT)?;
        let containers = pod.containers().iter().map(|container| PodContainer { id: NEVER.into(), ..container.clone() });
        let pod_set = PodSet::new(pod.host_namespaces(), containers.collect()).encode();
        Ok(claim.with_pod_set(pod_set))
    };
    assert_eq!(fake.ask_one(&forged()?)?.reason(), "pod_log.container", "the log would have to say so too");
    fake.happened(Event::Started(started(&forged()?, NEVER)))?;
    let only_it = forged()?;
    fake.happened(Event::Ended { container_id: fake.claim()?.leaf.container_id })?;
    let taken = only_it.open(site.verifier().digest(), fake.ask_one(&only_it)?.delivered(site)?)?;
    assert!(taken.receipt.claims.contains(&("agent".into(), "self-asserted".into())), "{:?}", taken.receipt.claims);

    site.admin().run(&["secret", "put", "forged-leaf/db", "--accept", "test-root"], b"a value")?.json()?;
    let answer = fake.ask_one(&forged()?)?;
    let explained = answer.refused(site)?;
    assert_eq!((explained.result(), answer.reason()), ("refused", "policy.forbid"), "{}", explained.told());
    assert!(explained.check("policy.forbid").is_some_and(|check| check.origin.ends_with("@agent-self-asserted")), "{}", explained.told());
    Ok(())
}

fn pod_log_is_sent_once_and_again_when_asked(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "log-once", "log-once")?;
    let length = fake.pod_log().ok_or("a log")?.head.length;
    // The verifier has nothing yet: it asks, logs nothing, and the challenge serves once more.
    let mut plan = fake.plan(&[&fake.claim()?])?;
    let whole = plan.pod_log.replace((length, Vec::new()));
    let sent = fake.collect(plan.clone())?;
    let answer = fake.send(&sent)?.remove(0);
    let explained = answer.refused(site)?;
    assert_eq!((answer.reason(), explained.result()), ("pod_log.resend", "rejected"), "{}", explained.told());
    assert_eq!(entries_of(site, &sent.encode())?, 0, "a request to send again is in the log");
    plan.pod_log = whole;
    fake.send(&fake.collect(plan)?)?.remove(0).delivered(site)?;
    // From there on what is new is enough, and what was decided on it can be decided anew.
    fake.happened(restarted())?;
    let log = fake.pod_log().ok_or("a log")?;
    let mut plan = fake.plan(&[&fake.claim()?])?;
    plan.pod_log = Some((length, log.bytes(length)));
    let sent = fake.collect(plan)?;
    let reply = fake.send_bytes(sent.encode())?;
    assert!(matches!(reply.outcomes[0].1, LeafOutcome::Delivered(_)), "{reply:?}");
    assert_eq!(entries_of(site, &sent.encode())?, 1);
    let rechecked = site.admin().run(&["audit", "recheck", "--all"], b"")?;
    assert_eq!(rechecked.code, Some(0), "{rechecked:?}");
    Ok(())
}
