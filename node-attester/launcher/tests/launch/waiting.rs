//! Attester or verifier away, refusals, and stop signals meanwhile.

use std::{
    fs,
    path::Path,
    process::{Child, Output},
    time::{Duration, Instant},
};

use podseal_protocol::{Limits, frame::frame};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    attester::{Answer, refusal},
    container::{Container, assert_nothing_happened, run, skip, start, stderr, stderr_line, stdout},
};

#[test]
fn verifier_away_then_back() {
    let Some(container) = Container::new("verifier_away_then_back") else { return };
    let away = || Answer::Reply(refusal("verifier.unavailable", "", "the verifier does not answer", true));
    let attester = container.attester(vec![
        Box::new(move |_| away()),
        Box::new(move |_| away()),
        Box::new(|_| Answer::Bytes(Vec::new())),
        container.honest(&[], &[]),
    ]);
    let output = run(&mut container.launch(&["--", "echo", "ran"]));
    assert_eq!(stdout(&output), "ran\n", "{}", stderr(&output));
    let said: Vec<_> =
        stderr(&output).lines().map(|line| line.rsplit_once("s: ").map_or(line.to_owned(), |(_, state)| state.to_owned())).collect();
    let wanted = [
        "verifier.unavailable: the verifier does not answer",
        "the node attester closed the connection without an answer",
        "podseal-launch: answered, starting",
    ];
    assert_eq!(said, wanted, "one line per change of state");
    let requests = attester.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| *request == requests[0]), "one session: the same key and salt each time");
}

#[test]
fn attester_comes_later() {
    let Some(container) = Container::new("attester_comes_later") else { return };
    let mut child = start(&mut container.launch(&["--", "echo", "ran"]));
    assert!(stderr_line(&mut child).contains("the node attester does not listen on its socket"));
    let _attester = container.delivers(&[], &[]);
    let output = child.wait_with_output().unwrap();
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("ran\n", Some(0)));
}

#[test]
fn attester_that_died_leaves_a_socket_behind() {
    let container = Container::bare();
    drop(container.attester(Vec::new()));
    let output = run(&mut container.launch(&["--wait", "1", "--", "true"]));
    assert_nothing_happened(&container, &output, 75, "no secrets after 1 s: the node attester does not listen");
}

#[test]
fn unavailable_after_wait() {
    let container = Container::bare();
    let begun = Instant::now();
    let output = run(&mut container.launch(&["--wait", "1", "--", "echo", "ran"]));
    assert_nothing_happened(&container, &output, 75, "no secrets after 1 s: the node attester does not listen on its socket");
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn attester_that_says_nothing() {
    let container = Container::bare();
    let _attester = container.attester(vec![Box::new(|_| Answer::Silence)]);
    let output = run(&mut container.launch(&["--wait", "1", "--", "echo", "ran"]));
    assert_nothing_happened(&container, &output, 75, "no secrets after 1 s: the node attester did not answer in time");
}

#[test]
fn half_a_frame_is_no_answer() {
    let container = Container::bare();
    let mut bytes = frame(&refusal("policy.denied", "a-1", "advice", false).encode(), &Limits::DEFAULT).unwrap();
    bytes.pop();
    let _attester = container.attester(vec![Box::new(|_| Answer::Bytes(bytes))]);
    let output = run(&mut container.launch(&["--wait", "1", "--", "echo", "ran"]));
    assert_nothing_happened(&container, &output, 75, "closed the connection without an answer");
}

#[test]
fn refusal_is_final() {
    let container = Container::bare();
    let refused = refusal("policy.denied", "a-17", "ask for a policy that allows it", false);
    let attester = container.attester(vec![Box::new(|_| Answer::Reply(refused)), container.honest(&[], &[])]);
    let output = run(&mut container.launch(&["--", "echo", "ran"]));
    assert_nothing_happened(&container, &output, 77, "");
    assert_eq!(stderr(&output), "podseal-launch: refused: policy.denied (audit id a-17): ask for a policy that allows it\n");
    assert_eq!(attester.requests().len(), 1);
}

#[test]
fn advice_cannot_forge_a_line() {
    let container = Container::bare();
    let refused = refusal("policy.denied", "", "no\npodseal-launch: delivered\x1b[2J", false);
    let _attester = container.attester(vec![Box::new(|_| Answer::Reply(refused))]);
    let output = run(&mut container.launch(&["--", "echo", "ran"]));
    assert_eq!(stderr(&output), "podseal-launch: refused: policy.denied: no\u{fffd}podseal-launch: delivered\u{fffd}[2J\n");
}

#[test]
fn token_is_read_anew_for_each_attempt() {
    let Some(container) = Container::new("token_is_read_anew_for_each_attempt") else { return };
    container.program("token", "first", 0o644);
    let token = container.path("token");
    let attester = container.attester(vec![
        Box::new(move |_| {
            fs::write(token, "second").unwrap();
            Answer::Reply(refusal("verifier.unavailable", "", "away", true))
        }),
        container.honest(&[], &[]),
    ]);
    run(&mut container.launch(&["--", "true"]));
    assert_eq!([attester.asked().token, attester.asked().token], [b"first".to_vec(), b"second".to_vec()]);
}

#[test]
fn token_that_is_too_long_or_no_file() {
    let container = Container::bare();
    let attester = container.delivers(&[], &[]);
    container.program("token", &"x".repeat((16 << 10) + 1), 0o644);
    assert_nothing_happened(&container, &run(&mut container.launch(&["--", "true"])), 71, "longer than 16384 bytes");
    fs::remove_file(container.path("token")).unwrap();
    fs::create_dir(container.path("token")).unwrap();
    assert_nothing_happened(&container, &run(&mut container.launch(&["--", "true"])), 71, "Is a directory");
    assert_eq!(attester.requests(), []);
}

fn stop(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[track_caller]
fn assert_stopped(container: &Container, output: &Output, code: i32) {
    assert_nothing_happened(container, output, code, "before the application started");
}

#[test]
fn sigterm_while_waiting() {
    let container = Container::bare();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut child = start(&mut container.launch(&["--", "echo", "ran"]));
        assert!(stderr_line(&mut child).contains("waiting up to"));
        stop(&child, signal);
        assert_stopped(&container, &child.wait_with_output().unwrap(), code);
    }
}

#[test]
fn sigterm_while_waiting_for_the_reply() {
    let container = Container::bare();
    let attester = container.attester(vec![Box::new(|_| Answer::Silence)]);
    let child = start(&mut container.launch(&["--", "echo", "ran"]));
    attester.asked();
    stop(&child, Signal::TERM);
    assert_stopped(&container, &child.wait_with_output().unwrap(), 143);
}

#[test]
fn sigterm_while_waiting_as_pid_1() {
    if !rustix::process::geteuid().is_root() {
        return skip("sigterm_while_waiting_as_pid_1", "a PID namespace needs root");
    }
    let container = Container::bare();
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).arg(container.launcher()).args(container.arguments(&["--", "echo", "ran"]));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = start(&mut command);
    assert!(stderr_line(&mut child).contains("waiting up to"));
    let children =
        fs::read_to_string(Path::new("/proc").join(child.id().to_string()).join(format!("task/{}/children", child.id()))).unwrap();
    let init = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap();
    assert!(status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")), "{status}");
    kill_process(init, Signal::TERM).unwrap();
    assert_stopped(&container, &child.wait_with_output().unwrap(), 143);
}

#[test]
fn stop_signal_wins_over_the_reply() {
    let Some(container) = Container::new("stop_signal_wins_over_the_reply") else { return };
    let honest = container.honest(&[], &[]);
    let (sender, pid) = std::sync::mpsc::channel::<Pid>();
    let _attester = container.attester(vec![Box::new(move |request| {
        kill_process(pid.recv().unwrap(), Signal::TERM).unwrap();
        honest(request)
    })]);
    let child = start(&mut container.launch(&["--", "echo", "ran"]));
    sender.send(Pid::from_child(&child)).unwrap();
    assert_stopped(&container, &child.wait_with_output().unwrap(), 143);
}
