//! The pod log: what it proves, and logs that hide something.

use podseal_appraisal::{
    claims::{Claim, PodLog},
    pod_log::PodLogState,
    policy::{Policy, PolicyLimits},
};
use podseal_protocol::{
    Bank, Digest,
    binding::PodLogHead,
    evidence::Part,
    pod_log::{Event, Record, Register, Started},
};

use super::{
    refused::{Attack, By, refused, refused_world, released},
    world::{NodeLog, World, event, register, started, state_after},
};

const REGISTERED: By = By::RegisteredNode;
const IPL: u32 = 0x0d;

fn log(world: &mut World) -> &mut NodeLog {
    world.pod_log.as_mut().unwrap()
}

/// A debug container that somebody started, privileged.
fn debugger() -> Event {
    let pod = World::honest().pods.remove(0);
    Event::Started(Started { privileged: true, ..started("debugger", &pod, &Digest::of(b"debugger manifest")) })
}

/// One that belongs to no pod of ours.
fn privileged() -> Event {
    let Event::Started(debugger) = debugger() else { unreachable!() };
    Event::Started(Started { pod_uid: "another".to_owned(), ..debugger })
}

fn restarted(exceptions: &[&str]) -> Event {
    Event::AttesterRestarted { exceptions: exceptions.iter().map(|name| (*name).to_owned()).collect() }
}

fn exec() -> Event {
    Event::Exec { container_id: World::honest().pods[0].leaf.container_id.clone(), exec_id: "e1".to_owned() }
}

#[test]
fn empty_pod_log_is_not_clean() {
    refused(
        &["pod_log.boot"],
        REGISTERED,
        &[
            ("no record, though the register was never extended", |w| log(w).happened = Vec::clear),
            ("it does not begin", |w| log(w).happened = |all| drop(all.remove(0))),
            ("it begins twice", |w| {
                log(w).happened = |all| {
                    let began = all[0].clone();
                    all.push(began);
                }
            }),
            ("of another boot", |w| {
                log(w).happened = |all| {
                    let Event::Began { boot_id, .. } = &mut all[0] else { unreachable!() };
                    boot_id.push('0');
                }
            }),
        ],
    );
    // The evidence says that there is a log, and brings none: nothing failed, and nothing was appraised.
    let mut world = World::of_replicas(1);
    world.on_the_way = |sent| drop(sent.parts.remove(2));
    refused_by(&world, "pod_log.well_formed");
}

fn refused_by(world: &World, reason: &str) {
    let run = world.run();
    assert_eq!(run.explanation(0).reason, reason);
    assert!(run.appraisal.node_claims().is_none() && run.appraisal.leaves()[0].workload().is_none());
}

#[test]
fn pod_log_register_mismatch() {
    refused(
        &["pod_log.register"],
        REGISTERED,
        &[
            ("a record that was never extended", |w| log(w).extended = |all| all.truncate(all.len() - 1)),
            ("extended in another order", |w| log(w).extended = |all| all.reverse()),
            ("the evidence has another length", |w| log(w).claimed = |head| head.length += 1),
            ("the evidence has another head", |w| log(w).claimed = |head| head.head = Digest::of(b"head")),
            ("the evidence says that there is none", |w| log(w).claimed = |head| *head = PodLogHead::NONE),
        ],
    );
}

#[test]
fn extended_behind_our_back() {
    refused(
        &["pod_log.register"],
        REGISTERED,
        &[
            ("after the last record", |w| log(w).extended = |all| all.push(Digest::of(b"something"))),
            ("between two records", |w| log(w).extended = |all| all.insert(1, Digest::of(b"something"))),
            ("before the first record, which does not say so", |w| log(w).extended = |all| all.insert(0, Digest::of(b"something"))),
        ],
    );
}

#[test]
fn pod_log_record_removed() {
    let with_debugger: fn(&mut Vec<Event>) = |all| all.push(privileged());
    let mut world = World::of_replicas(1);
    log(&mut world).happened = with_debugger;
    released(&world.run());
    // Taken out of the middle, the numbers tell; renumbered, or at the end, the register does.
    log(&mut world).happened = |all| all.insert(1, privileged());
    log(&mut world).sent = |records| drop(records.remove(1));
    refused_world(&["pod_log.well_formed"], REGISTERED, "out of the middle", &world);
    log(&mut world).sent = |records| {
        records.remove(1);
        (0..).zip(records).for_each(|(number, record)| record.number = number);
    };
    refused_world(&["pod_log.register"], REGISTERED, "out of the middle, renumbered", &world);
    log(&mut world).happened = with_debugger;
    log(&mut world).sent = |records| drop(records.pop());
    refused_world(&["pod_log.register"], REGISTERED, "the last", &world);
    log(&mut world).sent = |records| {
        let Event::Started(debugger) = &mut records.last_mut().unwrap().event else { unreachable!() };
        debugger.privileged = false;
    };
    refused_world(&["pod_log.register"], REGISTERED, "altered", &world);
    let attacks: [Attack; 3] = [
        ("one byte", |w| log(w).bytes = |bytes| bytes[60] ^= 1),
        ("a byte behind it", |w| log(w).bytes = |bytes| bytes.push(0)),
        ("cut", |w| log(w).bytes = |bytes| bytes.truncate(bytes.len() - 1)),
    ];
    refused(&["pod_log.well_formed"], REGISTERED, &attacks);
}

/// Register 13 has other users before us: what they left must be the boot's, by its own log.
#[test]
fn register_not_zero_at_start() {
    let extended = || vec![event(13, IPL, b"system extension"), event(13, IPL, b"another")];
    refused(&["pod_log.prior"], REGISTERED, &[("nobody says what was there", |w| log(w).register = Digest::of(b"something"))]);
    let mut world = World::of_replicas(1);
    world.measured.extend(extended());
    log(&mut world).register = register(&world.measured, 13);
    released(&world.run());
    log(&mut world).register = register(&extended()[..1], 13);
    refused_world(&["pod_log.prior"], REGISTERED, "not all that the boot log has", &world);
    // Nobody used it, though the boot log says so: the register proves the log wrong only when it is not zero.
    log(&mut world).register = Digest([0; 32]);
    released(&world.run());
}

/// A second log is begun on top of the first, and the first is called a part of the boot.
#[test]
fn first_pod_log_passed_off_as_boot_events() {
    let mut world = World::of_replicas(1);
    let began = Event::Began { boot_id: world.evidence.boot_id.clone(), register: Bank::Sha256.zero(), exceptions: Vec::new() };
    let hidden: Vec<Record> = (0..).zip([began, privileged()]).map(|(number, event)| Record { number, event }).collect();
    let contents: Vec<Vec<u8>> = hidden.iter().map(content).collect();
    world.measured.extend(contents.iter().map(|content| event(13, IPL, content)));
    log(&mut world).register = register(&world.measured, 13);
    refused_world(&["pod_log.prior"], REGISTERED, "with the records as what was measured", &world);
    // The log's events keep their digests; what was measured is something else, or nothing.
    let measured = world.measured.clone();
    for text in [&b"system extension"[..], b""] {
        let mut bytes = super::world::log(&measured);
        for content in &contents {
            let at = bytes.windows(content.len()).position(|window| window == content).unwrap();
            let length = u32::try_from(text.len()).unwrap().to_le_bytes();
            bytes.splice(at - 4..at + content.len(), [&length, text].concat());
        }
        world.log = Some(bytes);
        refused_world(&["pod_log.prior"], REGISTERED, "with digests alone", &world);
    }
}

/// What is extended for a record: its last field.
fn content(record: &Record) -> Vec<u8> {
    let bytes = record.encode(Register::TPM);
    let at = (0..bytes.len()).find(|at| Digest::of(&bytes[*at..]) == record.digest()).unwrap();
    bytes[at..].to_vec()
}

#[test]
fn container_that_the_log_does_not_know() {
    refused(
        &["pod_log.container"],
        REGISTERED,
        &[
            ("it ended", |w| {
                log(w).happened = |all| all.push(Event::Ended { container_id: World::honest().pods[0].leaf.container_id.clone() });
            }),
            ("of another pod", |w| log(w).happened = |all| asking(all).pod_uid = "another".to_owned()),
            ("of another image", |w| log(w).happened = |all| asking(all).image = format!("app@sha256:{}", Digest::of(b"another"))),
            ("of an image without a digest", |w| log(w).happened = |all| asking(all).image = "app:latest".to_owned()),
            ("its sandbox asks", |w| log(w).happened = |all| asking(all).sandbox = true),
        ],
    );
}

fn asking(events: &mut [Event]) -> &mut Started {
    let own = &World::honest().pods[0].leaf.container_id;
    let started = events.iter_mut().find_map(|event| match event {
        Event::Started(started) if started.container_id == *own => Some(started),
        _ => None,
    });
    started.unwrap()
}

#[test]
fn exec_ends_session() {
    let mut world = World::of_replicas(1);
    log(&mut world).happened = |all| all.push(exec());
    refused_world(&["pod_log.exec"], REGISTERED, "in the container that asks", &world);
    // In another of the pod it does not end the session, and a policy may ask.
    log(&mut world).happened = |all| all.push(Event::Exec { container_id: "00-proxy".to_owned(), exec_id: "e1".to_owned() });
    let run = world.run();
    released(&run);
    assert_eq!(run.appraisal.leaves()[0].workload().unwrap().pod_execs, Claim::Appraised(1));
    world.policy = World::honest().policy;
    refused_world(&["policy.permit", "policy.attribute"], REGISTERED, "in another container of the pod", &world);
}

#[test]
fn ephemeral_container_ends_session() {
    let mut world = World::of_replicas(1);
    log(&mut world).happened = |all| all.push(debugger());
    refused_world(&["pod_log.pod"], REGISTERED, "started since the pod was listed", &world);
    // Listed, it is a sibling like any other, and a policy that names the siblings does not have it.
    let mut listed = World::honest();
    let pod = &mut listed.pods[0];
    let mut container = pod.containers[1].clone();
    (container.id, container.name) = ("debugger".to_owned(), "debugger".to_owned());
    pod.containers.push(container);
    refused_world(&["policy.permit", "policy.attribute"], REGISTERED, "listed", &listed);
}

#[test]
fn what_ran_privileged_since_boot_is_known() {
    let digest = Digest::of(b"debugger manifest");
    let mut world = World::of_replicas(1);
    log(&mut world).happened = |all| {
        all.insert(1, privileged());
        all.insert(2, Event::Ended { container_id: "debugger".to_owned() });
        let Event::Started(named) = privileged() else { unreachable!() };
        all.insert(3, Event::Started(Started { image: "docker.io/library/debug:1".to_owned(), container_id: "d2".to_owned(), ..named }));
    };
    let run = world.run();
    released(&run);
    let images = vec!["docker.io/library/debug:1".to_owned(), format!("sha256:{digest}")];
    assert_eq!(run.appraisal.node_claims().unwrap().privileged_images, Claim::Appraised(images.clone()));
    let asks = |allowed: &[String]| {
        let mut world = world.clone();
        let condition = format!("context.secure_boot && {allowed:?}.containsAll(context.privileged_images)");
        world.policy = world.policy.map(|text| text.replace("context.secure_boot", &condition));
        assert!(Policy::parse(world.policy.as_ref().unwrap(), &PolicyLimits::DEFAULT).is_ok());
        world
    };
    released(&asks(&images).run());
    refused_world(&["policy.permit", "policy.attribute"], REGISTERED, "one of them is not allowed", &asks(&images[..1]));
}

/// Of a node that started with one exception, and again with two others.
fn excepted() -> World {
    let mut world = World::of_replicas(1);
    log(&mut world).happened = |all| {
        let Event::Began { exceptions, .. } = &mut all[0] else { unreachable!() };
        exceptions.push("landlock".to_owned());
        all.push(restarted(&["privileged-network", "seccomp"]));
    };
    world
}

#[test]
fn exceptions_of_the_newest_start_are_a_claim() {
    let run = excepted().run();
    released(&run);
    let names = |names: &[&str]| Claim::Appraised(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(run.appraisal.node_claims().unwrap().agent_exceptions, names(&["privileged-network", "seccomp"]));
    let claims = run.explanation(0).claims;
    assert_eq!(claims.get("agent_exceptions").map(String::as_str), Some("privileged-network,seccomp"), "{claims:?}");

    let asks = |condition: &str| {
        let mut world = excepted();
        world.policy = world.policy.map(|text| text.replace("context.secure_boot", &format!("context.secure_boot && {condition}")));
        world
    };
    released(&asks(r#"["privileged-network", "seccomp"].containsAll(context.agent_exceptions)"#).run());
    for other in [r#"["privileged-network"].containsAll(context.agent_exceptions)"#, "context.agent_exceptions.isEmpty()"] {
        refused_world(&["policy.permit", "policy.attribute"], REGISTERED, other, &asks(other));
    }
}

/// Whoever keeps the records cannot make an attester look more restricted than it said.
#[test]
fn exception_taken_out_of_the_log() {
    let attacks: [Attack; 3] = [
        ("one name less", |w| log(w).sent = |all| all.last_mut().unwrap().event = restarted(&["seccomp"])),
        ("none", |w| log(w).sent = |all| all.last_mut().unwrap().event = restarted(&[])),
        ("of the first start", |w| {
            log(w).sent = |all| {
                let Event::Began { exceptions, .. } = &mut all[0].event else { unreachable!() };
                exceptions.clear();
            }
        }),
    ];
    for (what, change) in attacks {
        let mut world = excepted();
        change(&mut world);
        refused_world(&["pod_log.register"], REGISTERED, what, &world);
    }
}

#[test]
fn gaps_are_counted_and_what_may_be_missed_is_not_appraised() {
    let missed: [Attack; 2] = [
        ("while the attester was away", |w| log(w).happened = |all| all.push(restarted(&[]))),
        ("while the runtime was", |w| log(w).happened = |all| all.push(Event::Interrupted)),
    ];
    for (what, change) in missed {
        let mut world = World::of_replicas(1);
        change(&mut world);
        let run = world.run();
        released(&run);
        assert_eq!(run.appraisal.node_claims().unwrap().pod_log_gaps, Claim::Appraised(1), "{what}");
        assert!(run.appraisal.leaves()[0].workload().unwrap().pod_execs.appraised().is_none(), "{what}");
        world.policy = World::honest().policy;
        refused_world(&["policy.claims_appraised", "policy.permit", "policy.attribute"], REGISTERED, what, &world);
    }
}

#[test]
fn log_goes_on_from_where_it_was_kept() {
    let mut whole = World::of_replicas(2);
    let mut run = whole.run();
    let state = run.appraisal.take_pod_log().unwrap();
    assert_eq!(Some(state.head()), whole.written().map(|written| written.head));
    // Nothing happened since.
    let mut next = whole.clone().going_on();
    released(&next.run());
    // One more exec did; what the kept state has is not sent again.
    log(&mut next).happened = |all| all.push(exec());
    refused_world(&["pod_log.exec"], REGISTERED, "since the last exchange", &next);
    let mut run = next.run();
    log(&mut whole).happened = |all| all.push(exec());
    assert_eq!(run.appraisal.take_pod_log(), whole.run().appraisal.take_pod_log());
    assert_eq!(run.appraisal.node_claims().unwrap().pod_log, Claim::Appraised(PodLog::Observed));
}

#[test]
fn part_that_goes_on_from_nowhere() {
    let rule = &["pod_log.resend"];
    let mut world = World::of_replicas(1).going_on();
    let kept: PodLogState = world.kept.take().unwrap();
    refused_world(rule, REGISTERED, "nothing is kept", &world);
    assert!(world.run().appraisal.asks_for_more());
    world.kept = Some(state_after(&world.written().unwrap(), kept.head().length - 1));
    refused_world(rule, REGISTERED, "less is kept", &world);
    world.kept = Some(kept);
    released(&world.run());
    assert!(!world.run().appraisal.asks_for_more());
    world.evidence.boot_id.push('0');
    refused_world(rule, REGISTERED, "of another boot", &world);
}

/// Whoever is not the node, or has another failing, is not asked for more.
#[test]
fn nobody_else_is_asked_for_the_whole_log() {
    let mut world = World::of_replicas(1).going_on();
    world.kept = None;
    let changes: [fn(&mut World); 4] = [
        |w| w.signer = 1,
        |w| w.mac = 2,
        |w| w.registered.as_mut().unwrap().approved = false,
        |w| w.quote = |quote| quote.values[3].1 = Digest::of(b"golden"),
    ];
    for change in changes {
        let mut world = world.clone();
        change(&mut world);
        assert!(!world.run().appraisal.asks_for_more());
    }
}

/// Only what the quoted register proved is worth keeping, and only of a registered node.
#[test]
fn nothing_unproved_is_kept() {
    let changes: [fn(&mut World); 5] = [
        |w| w.signer = 1,
        |w| w.mac = 2,
        |w| log(w).extended = |all| all.truncate(all.len() - 1),
        |w| log(w).claimed = |head| head.length += 1,
        |w| log(w).register = Digest::of(b"something"),
    ];
    assert!(World::of_replicas(1).run().appraisal.take_pod_log().is_some());
    for change in changes {
        let mut world = World::of_replicas(1);
        change(&mut world);
        assert!(world.run().appraisal.take_pod_log().is_none());
    }
    let mut world = World::of_replicas(1);
    world.on_the_way = |sent| sent.parts.retain(|part| !matches!(part, Part::PodLog { .. }));
    assert!(world.run().appraisal.take_pod_log().is_none());
}
