//! The workload key in locked memory, under the limits that containers have.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use crate::container::{Container, assert_nothing_happened, run, skip, start, stderr, stderr_line, stdout};

/// The launcher under a memlock limit in KiB.
fn limited(container: &Container, limit: &str, words: &[&str]) -> Command {
    let mut command = container.command(Path::new("/bin/bash"));
    command.args(["-c", "ulimit -l \"$0\" && exec \"$@\"", limit]).arg(container.launcher()).args(container.arguments(words));
    command
}

#[test]
fn usual_limit_of_containers_is_enough() {
    let Some(container) = Container::new("usual_limit_of_containers_is_enough") else { return };
    let _attester = container.delivers(&[], &[]);
    let output = run(&mut limited(&container, "64", &["--", "echo", "ran"]));
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("ran\n", ""));
}

#[test]
fn limit_that_is_too_low() {
    let container = Container::bare();
    let attester = container.delivers(&[], &[]);
    let output = run(&mut limited(&container, "0", &["--", "echo", "ran"]));
    assert_nothing_happened(&container, &output, 71, "RLIMIT_MEMLOCK is 0 bytes; raise the container's limit");
    assert_eq!(attester.requests(), [], "no key, no question");
}

#[test]
fn limit_that_is_too_low_and_accepted_by_name() {
    let Some(container) = Container::new("limit_that_is_too_low_and_accepted_by_name") else { return };
    let _attester = container.delivers(&[], &[]);
    let output = run(&mut limited(&container, "0", &["--allow-unlocked-memory", "--", "echo", "ran"]));
    assert_eq!(stdout(&output), "ran\n", "{}", stderr(&output));
    assert!(stderr(&output).starts_with("podseal-launch: warning: cannot lock 4096 bytes"), "{}", stderr(&output));
}

#[test]
fn waiting_launcher_holds_a_locked_page_and_cannot_be_dumped() {
    if !rustix::process::geteuid().is_root() {
        return skip("waiting_launcher_holds_a_locked_page_and_cannot_be_dumped", "changing the user needs root");
    }
    let container = Container::bare();
    let mut child = start(&mut container.launch(&["--", "true"]));
    assert!(stderr_line(&mut child).contains("waiting up to"));
    let path = format!("/proc/{}/status", child.id());
    let status = fs::read_to_string(&path).unwrap();
    let owner = fs::metadata(&path).unwrap().uid();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.lines().any(|line| line.starts_with("VmLck:") && line.ends_with("4 kB")), "{status}");
    assert_eq!(owner, 0, "proc(5): the files of a process that is not dumpable belong to root");
}
