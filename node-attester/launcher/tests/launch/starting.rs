//! The application gets its files, and inherits what it would have had without a launcher.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Output},
};

use crate::container::{Container, FILES, USER, run, start, stderr, stdout};

#[test]
fn application_gets_its_files() {
    let Some(container) = Container::new("application_gets_its_files") else { return };
    let attester = container.delivers(&[], &[]);
    let output = run(&mut container.launch(&["--", "sh", "-c", "cat \"$0\"/*", container.secrets().to_str().unwrap()]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout, FILES.iter().flat_map(|(_, value)| value.to_vec()).collect::<Vec<_>>());
    assert_eq!(stderr(&output), "", "a start without waiting says nothing");
    assert_eq!(container.placed(), ["db", "tls.pem"]);
    for (file, value) in FILES {
        let status = fs::metadata(container.secrets().join(file)).unwrap();
        assert_eq!((status.mode() & 0o7777, status.uid(), status.len()), (0o400, USER, value.len() as u64));
    }
    assert_eq!(attester.requests().len(), 1);
}

#[test]
fn umask_does_not_change_the_mode() {
    let Some(container) = Container::new("umask_does_not_change_the_mode") else { return };
    let _attester = container.delivers(&[], &[]);
    let mut shell = container.command(Path::new("/bin/sh"));
    shell.args(["-c", "umask 0777; exec \"$@\"", "sh"]).arg(container.launcher()).args(container.arguments(&["--", "sh", "-c", "umask"]));
    let output = run(&mut shell);
    assert_eq!(stdout(&output), "0777\n", "{}", stderr(&output));
    assert_eq!(fs::metadata(container.secrets().join("db")).unwrap().mode() & 0o7777, 0o400);
}

/// Runs `words` with and without the launcher, both behind `prefix`.
fn both_ways(container: &Container, prefix: &[&str], words: &[&str]) -> (Output, Output) {
    let command = |rest: Vec<String>| -> Command {
        let mut all = prefix.iter().map(|word| (*word).to_owned()).chain(rest);
        let mut command = container.command(Path::new(&all.next().unwrap()));
        command.args(all);
        command
    };
    let plain = run(&mut command(words.iter().map(|word| (*word).to_owned()).collect()));
    let _attester = container.delivers(&[], &[]);
    let behind_launcher = [&["--"], words].concat();
    let launcher = container.launcher().to_str().unwrap().to_owned();
    let launched = run(&mut command([vec![launcher], container.arguments(&behind_launcher)].concat()));
    assert_eq!(launched.status.code(), Some(0), "{}", stderr(&launched));
    (plain, launched)
}

/// The application's own view of itself is the same, whether the launcher was there or not. Readable for an unprivileged user at all only
/// because the process is dumpable again.
fn assert_unchanged(test: &str, words: &[&str]) {
    let Some(container) = Container::new(test) else { return };
    let (plain, launched) = both_ways(&container, &["/usr/bin/env"], words);
    assert!(!plain.stdout.is_empty(), "{}", stderr(&plain));
    assert_eq!(stdout(&launched), stdout(&plain));
}

#[test]
fn environment_is_unchanged() {
    assert_unchanged("environment_is_unchanged", &["cat", "/proc/self/environ"]);
}

#[test]
fn arguments_are_unchanged() {
    assert_unchanged("arguments_are_unchanged", &["cat", "/proc/self/cmdline", "--", "/dev/null"]);
}

#[test]
fn limits_are_unchanged() {
    assert_unchanged("limits_are_unchanged", &["cat", "/proc/self/limits"]);
}

#[test]
fn working_directory_is_unchanged() {
    assert_unchanged("working_directory_is_unchanged", &["readlink", "/proc/self/cwd"]);
}

#[test]
fn descriptors_are_unchanged() {
    assert_unchanged("descriptors_are_unchanged", &["ls", "/proc/self/fd"]);
}

#[test]
fn privileges_and_signals_are_unchanged() {
    let fields = "Uid|Gid|Groups|Threads|Sig|Shd|Cap|NoNewPrivs|Seccomp|VmLck|CoreDumping";
    assert_unchanged("privileges_and_signals_are_unchanged", &["grep", "-E", fields, "/proc/self/status"]);
}

#[test]
fn inherited_descriptors_reach_the_application() {
    let Some(container) = Container::new("inherited_descriptors_reach_the_application") else { return };
    let shell = ["/bin/sh", "-c", "exec 7</dev/zero; exec \"$@\"", "sh"];
    let (plain, launched) = both_ways(&container, &shell, &["ls", "/proc/self/fd"]);
    assert!(stdout(&plain).lines().any(|descriptor| descriptor == "7"), "{}", stdout(&plain));
    assert_eq!(stdout(&launched), stdout(&plain));
}

#[test]
fn signal_mask_and_dispositions_are_inherited() {
    let Some(container) = Container::new("signal_mask_and_dispositions_are_inherited") else { return };
    let prefix = ["/usr/bin/env", "--block-signal=USR1", "--block-signal=TERM", "--ignore-signal=HUP"];
    let (plain, launched) = both_ways(&container, &prefix, &["grep", "-E", "SigBlk|SigIgn|SigCgt", "/proc/self/status"]);
    assert!(stdout(&plain).contains("SigBlk:\t0000000000004200"), "{}", stdout(&plain));
    assert_eq!(stdout(&launched), stdout(&plain));
}

#[test]
fn application_is_the_same_process() {
    let Some(container) = Container::new("application_is_the_same_process") else { return };
    let _attester = container.delivers(&[], &[]);
    let child = start(&mut container.launch(&["--", "sh", "-c", "echo $$; exit 5"]));
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!((stdout(&output), output.status.code()), (format!("{pid}\n"), Some(5)));
}

#[test]
fn token_is_sent_as_it_is() {
    let Some(container) = Container::new("token_is_sent_as_it_is") else { return };
    container.program("token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", 0o644);
    let attester = container.delivers(&[], &[]);
    run(&mut container.launch(&["--", "true"]));
    assert_eq!(attester.asked().token, b"eyJhbGciOiJSUzI1NiJ9.e30.c2ln");
}

#[test]
fn no_token_file_is_an_empty_token() {
    let Some(container) = Container::new("no_token_file_is_an_empty_token") else { return };
    let attester = container.delivers(&[], &[]);
    run(&mut container.launch(&["--", "true"]));
    assert_eq!(attester.asked().token, b"");
}

#[test]
fn every_start_has_its_own_key_and_salt() {
    let Some(container) = Container::new("every_start_has_its_own_key_and_salt") else { return };
    let attester = container.attester(vec![container.honest(&[], &[]), container.honest(&[], &[])]);
    let asked = [(); 2].map(|()| {
        let output = run(&mut container.launch(&["--", "/bin/sh", "-c", "rm -f \"$0\"/*", container.secrets().to_str().unwrap()]));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        attester.asked()
    });
    assert_ne!(asked[0].workload_key, asked[1].workload_key);
    assert_ne!(asked[0].salt, asked[1].salt);
}
