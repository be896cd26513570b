//! The pod log of a node, by itself: what the shipped attester records of a real containerd, and whether file and register agree. What a verifier makes of
//! it stands elsewhere.

use std::fs;
use std::path::Path;
use std::time::Duration;

use podseal_protocol::Limits;
use podseal_protocol::pod_log::{Digests, Event, REGISTER, Record, Records, Register, Started};
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::pod::{Container, Pod};
use podseal_swtpm_tests::raw_tpm::Bank;
use podseal_swtpm_tests::site::machine::EXCEPTION;
use podseal_swtpm_tests::site::node::payment_api;
use podseal_swtpm_tests::site::workload::PATIENCE;
use podseal_swtpm_tests::site::{Node, NodeOptions, Site, Workload};
use rustix::process::Signal;

use crate::fixtures::Fixtures;
use crate::refusals::refused_on_the_node;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("exec_is_recorded", exec_is_recorded),
    ("exec_is_recorded::it_ends_the_session", exec_ends_the_session),
    ("attester_restart_is_an_event", attester_restart_is_an_event),
    ("attester_killed_at_each_step::of_its_calls", attester_killed_at_each_step_of_its_calls),
];

type Failure = Box<dyn std::error::Error>;

const EXEC: Duration = Duration::from_secs(8);

fn restarted() -> Event {
    Event::AttesterRestarted { exceptions: vec![EXCEPTION.to_owned()] }
}

fn node(site: &Site, name: &str) -> Result<Node, Failure> {
    Ok(site.start_node(NodeOptions { pod_log: true, ..NodeOptions::new(site, name) })?)
}

/// The records so far; a last one may be half written.
fn events(file: &Path) -> Vec<Event> {
    let bytes = fs::read(file).unwrap_or_default();
    Records::new(&bytes, 0, Register::TPM, &Limits::DEFAULT).map_while(Result::ok).map(|(record, _)| record.event).collect()
}

/// Waits until the log has such a record, from number `from` on.
fn recorded(node: &Node, from: usize, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event, Failure> {
    let file = node.machine().pod_log();
    Ok(wait_for(&format!("the pod log has {what}"), PATIENCE, || {
        let events = events(&file);
        events.get(from..).and_then(|new| new.iter().find(|event| wanted(event)).cloned()).ok_or_else(|| {
            let log = node.attester().log();
            format!("{events:#?}; attester {}", &log[log.len().saturating_sub(2000)..])
        })
    })?)
}

fn started(node: &Node, from: usize, id: &str) -> Result<Started, Failure> {
    match recorded(node, from, &format!("a start of {id}"), |event| matches!(event, Event::Started(s) if s.container_id == id))? {
        Event::Started(started) => Ok(started),
        other => Err(format!("{other:?}").into()),
    }
}

fn ended(node: &Node, from: usize, id: &str) -> Result<(), Failure> {
    recorded(node, from, &format!("the end of {id}"), |event| *event == Event::Ended { container_id: id.to_owned() }).map(drop)
}

fn exec(node: &Node, from: usize, id: &str) -> Result<(), Failure> {
    recorded(node, from, &format!("an exec in {id}"), |event| matches!(event, Event::Exec { container_id, .. } if container_id == id))
        .map(drop)
}

/// Stops the attester; then the file is whole, and the register is what its records come to.
fn agrees(node: &mut Node) -> Result<Vec<Event>, Failure> {
    assert!(node.attester_mut().stop()?.success());
    let bytes = fs::read(node.machine().pod_log())?;
    let records: Vec<(Record, Digests)> =
        Records::new(&bytes, 0, Register::TPM, &Limits::DEFAULT).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let events: Vec<Event> = records.iter().map(|(record, _)| record.event.clone()).collect();
    let Some(Event::Began { boot_id, register, exceptions }) = events.first() else { return Err(format!("{events:?}").into()) };
    assert_eq!(*exceptions, [EXCEPTION]);
    assert_eq!(*boot_id, fs::read_to_string(node.machine().boot_id())?.trim());
    let wanted = records.iter().fold(*register, |register, (_, digests)| register.extended(&digests.extended));
    let found = node.machine().tpm().client()?.pcr_read(Bank::Sha256, REGISTER.into())?;
    assert_eq!(found, wanted.as_ref(), "register and file of {} records disagree", records.len());
    let other = node.machine().tpm().client()?.pcr_read(Bank::Sha1, REGISTER.into())?;
    assert_eq!(other, [0; 20], "the other bank is left alone");
    Ok(events)
}

fn server(node: &Node) -> Result<Container, Failure> {
    Ok(Container::new("server", node.payment_api()?))
}

fn exec_is_recorded(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = node(site, "log-exec")?;
    let (pod_id, uid, id) = {
        let pod = Pod::new("shop", "server-0").run(node.runtime())?;
        let container = pod.start(server(&node)?)?;
        container.first_line(PATIENCE)?;
        let found = started(&node, 1, container.id())?;
        let wanted = Started {
            container_id: container.id().to_owned(),
            sandbox: false,
            pod_uid: pod.uid().to_owned(),
            namespace: "shop".to_owned(),
            pod: "server-0".to_owned(),
            container: "server".to_owned(),
            image: format!("podseal.test/payment-api@{}", node.payment_api()?.manifest),
            privileged: false,
            heard: true,
        };
        assert_eq!(found, wanted);
        let of_pod = started(&node, 1, pod.id())?;
        assert_eq!(
            (of_pod.sandbox, of_pod.pod_uid, of_pod.namespace, of_pod.pod, of_pod.container, of_pod.image, of_pod.privileged, of_pod.heard),
            (
                true,
                pod.uid().to_owned(),
                "shop".to_owned(),
                "server-0".to_owned(),
                String::new(),
                "podseal.test/pause:1".to_owned(),
                false,
                true
            )
        );
        container.exec(&["/payment-api", "--no-such-word"], EXEC)?;
        exec(&node, 1, container.id())?;
        (pod.id().to_owned(), pod.uid().to_owned(), container.id().to_owned())
    };
    ended(&node, 1, &id)?;
    ended(&node, 1, &pod_id)?;

    // Privileged, and in a namespace of which CRI knows nothing.
    {
        let pod = Pod::new("shop", "root-0").privileged().run(node.runtime())?;
        let container = pod.start(server(&node)?.privileged())?;
        assert!(started(&node, 1, pod.id())?.privileged && started(&node, 1, container.id())?.privileged);
    }
    node.runtime().run_elsewhere("elsewhere", &payment_api("1"), "stray")?;
    let stray = started(&node, 1, "elsewhere/stray")?;
    assert_eq!(
        (stray.pod_uid.as_str(), stray.image.as_str(), stray.privileged, stray.heard),
        ("", "podseal.test/payment-api:1", true, true)
    );
    node.runtime().end_elsewhere("elsewhere", "stray")?;
    ended(&node, 1, "elsewhere/stray")?;

    let events = agrees(&mut node)?;
    let count = |wanted: &dyn Fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(&|event| matches!(event, Event::Exec { .. })), 1, "one exec, one record: {events:#?}");
    assert_eq!(count(&|event| matches!(event, Event::Started(s) if s.pod_uid == uid)), 2, "{events:#?}");
    assert_eq!(count(&|event| matches!(event, Event::Started(_))), count(&|event| matches!(event, Event::Ended { .. })), "{events:#?}");
    assert_eq!(count(&|event| matches!(event, Event::AttesterRestarted { .. } | Event::Interrupted)), 0, "{events:#?}");
    Ok(())
}

/// While the verifier is away the launcher asks again and again; an exec meanwhile ends that.
fn exec_ends_the_session(fixtures: &Fixtures) -> Outcome {
    let mut site = fixtures.own_site("log-session")?;
    let node = node(&site, "log-session")?;
    let workload = Workload::new(&site, "log-session");
    site.entitle(&workload, &node)?;
    site.verifier_mut().kill();
    let pod = workload.run(&site, &node)?;
    started(&node, 1, pod.container.id())?;
    pod.container.exec(&["/payment-api", "--no-such-word"], EXEC)?;
    exec(&node, 1, pod.container.id())?;
    refused_on_the_node(&pod.refused()?, "container.exec");
    Ok(())
}

/// What runs on is known on both sides, what ended or came meanwhile is found; the same where the runtime was away.
fn attester_restart_is_an_event(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = node(site, "log-restart")?;
    let elsewhere = payment_api("1");
    {
        let stays = Pod::new("shop", "stays").run(node.runtime())?;
        let goes = Pod::new("shop", "goes").run(node.runtime())?;
        let server = stays.start(server(&node)?)?;
        started(&node, 1, server.id())?;
        let gone = goes.id().to_owned();
        started(&node, 1, &gone)?;

        let from = events(&node.machine().pod_log()).len();
        let comes = node.end_attester_while(Signal::KILL, || {
            drop(goes);
            Pod::new("shop", "comes").run(node.runtime())
        })??;
        ended(&node, from, &gone)?;
        assert!(!started(&node, from, comes.id())?.heard, "its start was not heard");
        let new = &events(&node.machine().pod_log())[from..];
        assert_eq!(new[0], restarted());
        assert!(
            !new.iter().any(|event| matches!(event, Event::Started(s) if [stays.id(), server.id()].contains(&s.container_id.as_str()))),
            "{new:#?}"
        );

        let from = events(&node.machine().pod_log()).len();
        node.runtime().restart_while(|| ())?;
        recorded(&node, from, "an interruption", |event| *event == Event::Interrupted)?;
        node.runtime().run_elsewhere("elsewhere", &elsewhere, "stray")?;
        assert!(started(&node, from, "elsewhere/stray")?.heard);
        server.exec(&["/payment-api", "--no-such-word"], EXEC)?;
        exec(&node, from, server.id())?;
        let new = &events(&node.machine().pod_log())[from..];
        assert_eq!(new[0], Event::Interrupted);
        assert_eq!(new.len(), 3, "nothing else: {new:#?}");
        node.runtime().end_elsewhere("elsewhere", "stray")?;
    }
    let events = agrees(&mut node)?;
    assert_eq!(events.iter().filter(|event| **event == restarted()).count(), 1);
    Ok(())
}

/// strace kills the attester before the Nth of these calls; started again, it goes on with what it left.
fn attester_killed_at_each_step_of_its_calls(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = node(site, "log-killed")?;
    let file = node.machine().pod_log().display().to_string();
    let (mut killed, mut restarts) = (0, 0);
    for (calls, n) in [("pwrite64", 1), ("pwrite64", 2), ("pwrite64", 3), ("fdatasync", 1), ("fdatasync", 2), ("fdatasync", 3)] {
        let inject = format!("inject={calls}:signal=KILL:when={n}");
        let words = ["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject, "-P", &file];
        // Killed before it listened is killed too.
        let _may_be_killed = node.restart_attester(&words);
        restarts += 1;
        {
            let pod = Pod::new("shop", "short").run(node.runtime())?;
            wait_for("the attester is killed, or has recorded the pod", PATIENCE, || {
                let known = events(Path::new(&file)).iter().any(|event| matches!(event, Event::Started(s) if s.container_id == pod.id()));
                if known || node.attester().has_ended() { Ok(()) } else { Err("neither".to_owned()) }
            })?;
        }
        killed += usize::from(node.attester().has_ended());
        node.restart_attester(&[])?;
        restarts += 1;
        let again = Pod::new("shop", "after").run(node.runtime())?.id().to_owned();
        ended(&node, 1, &again)?;
        let events = agrees(&mut node)?;
        let running = events.iter().fold(0, |running, event| match event {
            Event::Started(_) => running + 1,
            Event::Ended { .. } => running - 1,
            _ => running,
        });
        assert_eq!(running, 0, "{calls} {n}: what started has ended: {events:#?}");
        let seen = events.iter().filter(|event| **event == restarted()).count();
        assert!(seen <= restarts && seen * 2 >= restarts, "{calls} {n}: {seen} of {restarts} restarts");
    }
    assert!(killed >= 4, "killed {killed} times");
    Ok(())
}
