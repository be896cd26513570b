//! Boot logs that are not the quoted boot's, and boots that are not the reference one.

use super::{
    refused::{By, refused, refused_world, released},
    world::{Event, NO_ACTION, NOW, REFERENCES_EXPIRE, World, golden, log, measured, without_secure_boot},
};

#[test]
fn log_does_not_replay() {
    refused(
        &["log.replays"],
        By::RegisteredNode,
        &[
            ("an event altered", |w| {
                let mut events = measured();
                events[20].data.push(b'!');
                w.log = Some(log(&events));
            }),
            ("an event relabelled as a message", |w| {
                let mut events = measured();
                events.last_mut().unwrap().kind = NO_ACTION;
                w.log = Some(log(&events));
            }),
            ("two events swapped", |w| {
                let mut events = measured();
                events.swap(0, 1);
                w.log = Some(log(&events));
            }),
        ],
    );
}

#[test]
fn log_truncated() {
    refused(
        &["log.replays"],
        By::RegisteredNode,
        &[
            ("its last event is gone", |w| w.log = Some(log(&measured()[..measured().len() - 1]))),
            ("no event is left", |w| w.log = Some(log(&[]))),
        ],
    );
    refused(
        &["log.well_formed"],
        By::RegisteredNode,
        &[
            ("within an event", |w| {
                let mut bytes = log(&measured());
                bytes.truncate(bytes.len() - 3);
                w.log = Some(bytes);
            }),
            ("nothing at all", |w| w.log = Some(Vec::new())),
        ],
    );
}

#[test]
fn log_of_other_boot() {
    refused(
        &["log.replays"],
        By::RegisteredNode,
        &[("the golden log, while another kernel runs", |w| {
            w.log = Some(log(&measured()));
            w.measured[19].data = b"vmlinuz 5.4 with known holes".to_vec();
        })],
    );
}

/// The replay that the caller kept is of another log: it may not stand in for the one that was sent.
#[test]
fn kept_replay_of_another_log_does_not_count() {
    let mut honest = World::honest().run();
    let kept = honest.appraisal.take_replayed().unwrap();
    let mut world = World::honest();
    world.log = Some(log(&without_secure_boot()));
    let run = world.prepared().run(&world.exchange(), world.now, Some(&kept));
    assert_eq!(super::refused::refusal(&run, 0).unwrap().reason(), "log.replays");
    world.log = None;
    world.on_the_way = |sent| drop(sent.parts.remove(1));
    let run = world.prepared().run(&world.exchange(), world.now, Some(&kept));
    assert_eq!(super::refused::refusal(&run, 0).unwrap().reason(), "log.well_formed");
}

#[test]
fn firmware_changed() {
    refused(&["reference.firmware"], By::RegisteredNode, &[("an older one", |w| w.measured[0].data = b"firmware 4.1".to_vec())]);
}

#[test]
fn command_line_changed() {
    refused(
        &["reference.kernel"],
        By::RegisteredNode,
        &[
            ("init=/bin/sh", |w| {
                let at = w.measured.len() - 2;
                w.measured[at].data.extend(b" init=/bin/sh");
            }),
            ("Secure Boot off, which the set covers", |w| w.measured = without_secure_boot()),
        ],
    );
}

#[test]
fn references_expired() {
    refused(&["reference.not_expired"], By::RegisteredNode, &[("a second ago", |w| w.references = vec![golden(&measured(), NOW)])]);
}

#[test]
fn secure_boot_off() {
    let demanding =
        |events: &[Event]| golden(events, REFERENCES_EXPIRE).replace("require_secure_boot = false", "require_secure_boot = true");
    let mut world = World::honest();
    world.references = vec![demanding(&world.measured)];
    assert!(world.references[0].contains("require_secure_boot = true"), "{}", world.references[0]);
    released(&world.run());
    world.measured = without_secure_boot();
    world.references = vec![demanding(&world.measured)];
    refused_world(&["reference.secure_boot"], By::RegisteredNode, "as the set demands", &world);
}
