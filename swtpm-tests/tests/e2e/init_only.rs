//! Only the container's first process may ask, once, and as long as it lives.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use podseal_swtpm_tests::error::{BenchError, wait_for};
use podseal_swtpm_tests::pod::{Pod, RunningContainer};
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest, outcome};
use podseal_swtpm_tests::site::{Ended, Node, NodeOptions, Permit, Refused, Site, Workload};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::fixtures::{Fixtures, stranger};
use crate::refusals::{REFUSED, answered, as_launcher, nth_answer, refused_by_attributes, refused_by_forbid, refused_on_the_node};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("exec_in_same_container_cannot_ask", exec_in_same_container_cannot_ask),
    ("child_of_init_cannot_ask", child_of_init_cannot_ask),
    ("second_session_of_one_container", second_session_of_one_container),
    ("pid_reused", pid_reused),
    ("container_gone_in_between", container_gone_in_between),
    ("pod_recreated_under_same_name", pod_recreated_under_same_name),
    ("sidecar_of_same_pod", sidecar_of_same_pod),
    ("shared_pid_namespace", shared_pid_namespace),
];

const SECRET: &str = "/podseal/secrets/db";
const LAUNCHER: &str = "/podseal/launch";
const EXEC: Duration = Duration::from_secs(8);
/// Pids that the crowd leaves behind: more than are given out between two rewinds, fewer than the attester takes connections.
const CROWD: &str = "200";
const REWIND: Duration = Duration::from_millis(2);
const TRIES: usize = 40;

/// Entitles the payment API in the image of strangers, whatever its arguments are, and shows that it gets its password.
fn honest_with_strangers(fixtures: &Fixtures, site: &Site, node: &Node, namespace: &str) -> Result<Workload, Box<dyn std::error::Error>> {
    let workload = Workload::new(site, namespace).image(fixtures.stranger()?);
    let value = site.entitle(&workload, node)?;
    site.allow(&workload.permit(site, node)?.without("principal.args"))?;
    assert_eq!(file_digest(&workload.run(site, node)?.started()?, SECRET), Some(value));
    Ok(workload)
}

fn ended(container: &RunningContainer<'_>) -> Result<Ended, BenchError> {
    wait_for(&format!("{} gets its answer", container.id()), PATIENCE, || {
        outcome(container).map_err(|error| error.to_string())?.ok_or_else(|| "nothing yet".to_owned())
    })
}

fn started(container: &RunningContainer<'_>) -> Result<Value, Box<dyn std::error::Error>> {
    match ended(container)? {
        Ended::Started(portrait) => Ok(portrait),
        Ended::Refused(refused) => Err(format!("{refused:?}").into()),
    }
}

fn refused(container: &RunningContainer<'_>) -> Result<Refused, Box<dyn std::error::Error>> {
    match ended(container)? {
        Ended::Refused(refused) => Ok(refused),
        Ended::Started(portrait) => Err(portrait.to_string().into()),
    }
}

fn is_not_init(stderr: &str) -> bool {
    stderr.contains("podseal-launch: refused: peer.not_init")
}

fn exec_in_same_container_cannot_ask(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let id = site.verifier().id();
    let workload = honest_with_strangers(fixtures, site, node, "exec")?;
    let launcher = [LAUNCHER, "--verifier", id, "--wait", "3", "--", "/payment-api"];

    let served = workload.run(site, node)?;
    served.started()?;
    // This container never asked, so that only the caller is wrong.
    let unserved = workload.command(&as_launcher("/stranger", id, &["wait"])).run(site, node)?;
    for container in [&served.container, &unserved.container] {
        let ran = container.exec(&launcher, EXEC)?;
        assert_eq!((ran.code, is_not_init(&ran.stderr), ran.stdout.as_str()), (Some(REFUSED), true, ""), "{ran:?}");
        let ran = container.exec(&["/stranger", "ask"], EXEC)?;
        let answer: Value = serde_json::from_str(&ran.stdout)?;
        assert_eq!(answer["refused"], "peer.not_init", "{answer}");
    }
    assert_eq!(node.told_of(unserved.container.id()), Vec::<Value>::new());
    Ok(())
}

fn child_of_init_cannot_ask(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let id = site.verifier().id();
    let workload = honest_with_strangers(fixtures, site, node, "child")?;
    let words = ["run", LAUNCHER, "--verifier", id, "--wait", "3", "--", "/payment-api"];
    let parent = workload.command(&as_launcher("/stranger", id, &words)).run(site, node)?;
    let child = answered(&parent.container)?;
    assert_eq!((&child["code"], &child["stdout"]), (&REFUSED.into(), &"".into()), "{child}");
    assert!(child["stderr"].as_str().is_some_and(is_not_init), "{child}");
    Ok(())
}

fn second_session_of_one_container(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let id = site.verifier().id();
    let workload = honest_with_strangers(fixtures, site, node, "second")?;
    // The application that the launcher becomes is the launcher: same process, same start, same program.
    let again = as_launcher(LAUNCHER, id, &["/payment-api"]);
    let twice = workload.command(&as_launcher(LAUNCHER, id, &again)).run(site, node)?;
    refused_on_the_node(&twice.refused()?, "session.second");
    let told = node.told_of(twice.container.id());
    assert_eq!(told.iter().filter(|line| line["fields"]["message"] == "delivered").count(), 1, "{told:?}");

    let (site, node) = fixtures.strangers()?;
    let workload = Workload::new(site, "second-at-once");
    let value = site.entitle(&workload, node)?;
    site.allow(&workload.permit(site, node)?.without("principal.args"))?;
    let at_once = workload.command(&as_launcher(LAUNCHER, id, &["twice"])).run(site, node)?;
    let answers = answered(&at_once.container)?;
    let of = |key: &str| answers.as_array().into_iter().flatten().filter(|answer| answer[key] != Value::Null).cloned().collect::<Vec<_>>();
    let (delivered, refused) = (of("files"), of("refused"));
    assert_eq!((delivered.len(), refused.len()), (1, 1), "{answers}");
    assert_eq!(delivered[0]["files"]["db"], value.to_string(), "{answers}");
    assert_eq!(refused[0]["refused"], "session.second", "{answers}");
    Ok(())
}

/// Does something while the kernel gives pids from `first` on, again and again (proc(5), `/proc/sys/kernel/ns_last_pid`).
fn with_pids_from<T>(first: i32, act: impl FnOnce() -> T) -> std::io::Result<T> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rewinding = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::write("/proc/sys/kernel/ns_last_pid", (first - 1).to_string())?;
                std::thread::sleep(REWIND);
            }
            Ok(())
        });
        let result = act();
        done.store(true, Ordering::Relaxed);
        rewinding.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())).map(|()| result)
    })
}

/// A crowd of processes connects and ends; one of their pids then becomes that of an entitled container's first process. Their connections live on.
fn pid_reused(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions::new(site, "reused"))?;
    let victim = Workload::new(site, "reused");
    let value = site.entitle(&victim, &node)?;
    assert_eq!(file_digest(&victim.run(site, &node)?.started()?, SECRET), Some(value));

    let image = node.runtime().import(&stranger())?;
    let mut attacker = Workload::new(site, "reused-crowd").image(&image).pod(Pod::host_pid).command(&["/stranger", "crowd", CROWD]);
    attacker.secrets = None;
    let halted = Halted::new(node.attester().pid())?;
    let crowd = attacker.run(site, &node)?;
    let pids: Vec<i32> = serde_json::from_value(answered(&crowd.container)?)?;
    let first = *pids.iter().min().ok_or("no crowd")?;

    let mut reused = None;
    for _ in 0..TRIES {
        let pod = victim.sandbox(&node)?;
        let container = with_pids_from(first, || victim.start_in(site, &node, &pod))??;
        let pid = container.status()?.pid();
        if pids.contains(&pid) {
            reused = Some((pid, container, pod));
            break;
        }
    }
    let (pid, container, _pod) = reused.ok_or("no container was given a pid of the crowd")?;
    drop(halted);

    let answers = nth_answer(&crowd.container, 1)?;
    let answers = answers.as_array().ok_or("no answers")?;
    assert!(answers.iter().any(|answer| answer["pid"] == pid), "{pid} in {answers:?}");
    for answer in answers {
        // Kernels that keep no pidfd of a process that has ended leave nobody to answer.
        let answer = &answer["answer"];
        assert!(answer["refused"] == "peer.gone" || answer["unanswered"].is_string(), "{answer}");
    }
    let log = node.attester().log();
    for answer in answers {
        let told = format!("\"pid\":{},\"reason\":\"peer.gone\"", answer["pid"]);
        assert!(log.contains(&told), "{told} is not in {log}");
    }

    let portrait = started(&container)?;
    assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");
    Ok(())
}

/// A process that is stopped until the value goes.
pub(crate) struct Halted(Pid);

impl Halted {
    pub(crate) fn new(pid: u32) -> Result<Self, Box<dyn std::error::Error>> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no pid")?;
        kill_process(pid, Signal::STOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        let _gone_already = kill_process(self.0, Signal::CONT);
    }
}

/// The container ends while the TPM still signs for it: the verifier releases, and the attester has nobody to hand it to. Here no pod log
/// tells of it.
fn container_gone_in_between(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions { proxied: true, pod_log: false, ..NodeOptions::new(site, "gone") })?;
    let workload = Workload::new(site, "gone");
    let value = site.entitle(&workload, &node)?;
    assert_eq!(file_digest(&workload.run(site, &node)?.started()?, SECRET), Some(value));

    let proxy = node.machine().proxy().ok_or("no proxy")?;
    let before = proxy.seen().len();
    let halted = Halted::new(node.machine().tpm().pid())?;
    let run = workload.run(site, &node)?;
    wait_for("the TPM is asked", PATIENCE, || if proxy.seen().len() > before { Ok(()) } else { Err(format!("{before} commands")) })?;
    let pid = run.container.status()?.pid();
    run.container.stop(Duration::ZERO)?;
    drop(halted);

    let refusal = wait_for("the attester refuses", PATIENCE, || {
        let told = node.told_of(&format!("\"pid\":{pid},"));
        told.into_iter().find(|line| line["fields"]["message"] == "refused").ok_or_else(|| node.attester().log())
    })?;
    assert_eq!((&refusal["fields"]["reason"], &refusal["fields"]["pid"]), (&"peer.gone".into(), &pid.into()), "{refusal}");
    assert_eq!(node.told_of(run.container.id()), Vec::<Value>::new());
    assert_eq!(releases_on(site, "gone")?, 2);
    Ok(())
}

/// How many releases to pods of a node the log has.
fn releases_on(site: &Site, node: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let list = site.admin().podseal(&["log", "list"])?;
    let entries = list["entries"].as_array().ok_or("no entries")?;
    let released = entries.iter().filter(|entry| entry["kind"] == "released").filter_map(|entry| entry["audit_id"].as_str());
    let nodes = released.map(|id| site.explain(id).map(|explained| explained.0.node)).collect::<Result<Vec<_>, _>>()?;
    Ok(nodes.iter().filter(|name| *name == node).count())
}

fn pod_recreated_under_same_name(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = Workload::new(site, "recreated");
    let value = site.entitle(&workload, node)?;
    let first = workload.run(site, node)?;
    assert_eq!(file_digest(&first.started()?, SECRET), Some(value));
    let uid_before = first.pod.uid().to_owned();
    drop(first);

    let with_token_before = workload.clone().token({
        let uid = uid_before.clone();
        move |token| token.pod.uid.clone_from(&uid)
    });
    let refused = with_token_before.run(site, node)?.refused()?;
    let explained = site.explain(&refused.audit_id)?;
    assert_eq!((explained.result(), explained.reason()), ("refused", "token.pod"), "{}", explained.told());
    assert!(explained.told().contains(&uid_before), "{}", explained.told());
    // What the pod set says rests on the token.
    assert_eq!(explained.obstacles(), ["token.pod", "pod_log.pod"], "{}", explained.told());

    let second = workload.run(site, node)?;
    assert_eq!(file_digest(&second.started()?, SECRET), Some(value));
    assert_ne!(second.pod.uid(), uid_before);
    Ok(())
}

fn sidecar_of_same_pod(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = Workload::new(site, "sidecar");
    let value = site.entitle(&workload, node)?;
    let mut sidecar = workload.clone();
    sidecar.container = "metrics".into();
    let known = |name: &str, image: &str| {
        format!("[{{ name: \"{name}\", image: \"{image}\", privileged: false }}].containsAll(principal.siblings)")
    };
    let permit: Permit = workload.permit(site, node)?.when("principal.siblings", &known("metrics", &node.payment_api()?.manifest));
    site.allow(&permit)?;

    // One that does not ask sees nothing, and stays.
    let pod = workload.sandbox(node)?;
    let mut quiet = sidecar.clone();
    quiet.command = vec!["/payment-api".into()];
    let quiet = quiet.start_in(site, node, &pod)?;
    let seen: Value = serde_json::from_str(&quiet.first_line(PATIENCE)?)?;
    assert_eq!(seen["files"], serde_json::json!([]), "{seen}");
    let honest = workload.start_in(site, node, &pod)?;
    let portrait = started(&honest)?;
    assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");
    let looked = quiet.exec(&["/payment-api", SECRET], Duration::from_secs(1))?;
    assert!(looked.stdout.contains("\"error\""), "{looked:?}");
    quiet.remove()?;

    // One that asks is another container, whatever it shares with the first.
    let asking = sidecar.container(|container| container.attempt(1)).start_in(site, node, &pod)?;
    let refused = refused(&asking)?;
    refused_by_attributes(&site.explain(&refused.audit_id)?, &["principal.container", "principal.siblings"]);
    Ok(())
}

fn shared_pid_namespace(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = Workload::new(site, "shared-pid");
    let value = site.entitle(&workload, node)?;
    site.allow(&workload.permit(site, node)?.without("principal.shared_pid_namespace").without("resource.accepts"))?;
    assert_eq!(file_digest(&workload.run(site, node)?.started()?, SECRET), Some(value));

    let shared = workload.pod(Pod::share_pid);
    let refused = shared.run(site, node)?.refused()?;
    refused_by_forbid(&site.explain(&refused.audit_id)?, "shared-pid-namespace");

    // Its owner may accept that, by name.
    let accepted = ["secret", "put", "shared-pid/db", "--accept", "host-trusted,test-root,shared-pid-namespace"];
    site.admin().run(&accepted, b"accepted")?.json()?;
    let portrait = shared.run(site, node)?.started()?;
    assert_eq!(file_digest(&portrait, SECRET), Some(podseal_protocol::Digest::of(b"accepted")), "{portrait}");
    assert_ne!(portrait["pid"], 1, "{portrait}");
    Ok(())
}
