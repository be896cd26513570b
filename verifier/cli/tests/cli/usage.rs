//! Help, exit codes, and what is refused before anything is sent.

use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::program::{podseal, podseal_with};

const COMMANDS: &[&str] = &[
    "secret put",
    "secret generate",
    "secret list",
    "secret delete",
    "policy apply",
    "policy test",
    "policy show",
    "cluster add",
    "cluster list",
    "node join-token",
    "node list",
    "node approve",
    "node show",
    "reference apply",
    "reference show",
    "reference capture",
    "endorsements fetch",
    "endorsements list",
    "endorsements export",
    "endorsements import",
    "explain",
    "log list",
    "log verify",
    "audit recheck",
    "verifier show",
    "status",
    "completions",
];

const ID: &str = "3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f";

#[test]
fn every_command_has_help_with_the_exit_codes() {
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = podseal(&words).exits(0).out;
        for part in ["Usage: podseal", "--output <FORMAT>", "Exit codes:", "  5  the verifier has nothing of that name"] {
            assert!(help.contains(part), "{command}: {help}");
        }
    }
    let top = podseal(&["--help"]).exits(0).out;
    for command in COMMANDS {
        assert!(top.contains(command.split(' ').next().unwrap()), "{command}");
    }
}

#[test]
fn completions_of_every_shell_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(podseal(&["completions", shell]).exits(0).out.contains("join-token"), "{shell}");
    }
}

#[test]
fn wrong_usage_exits_2() {
    let calls: &[&[&str]] = &[
        &[],
        &["secret"],
        &["secret", "put"],
        &["secret", "put", "payments/db", "hunter2"],
        &["secret", "put", "payments/db", "--value", "hunter2"],
        &["secret", "generate", "payments/db", "--length", "15"],
        &["node", "join-token", "--cluster", "demo", "--lifetime", "25h"],
        &["audit", "recheck"],
        &["audit", "recheck", "01J9C", "--all"],
        &["reference", "capture", "--event-log", "x", "--name", "x", "--expires", "tomorrow"],
        &["log", "list", "--output", "yaml"],
        &["status", "--certificate", "x"],
    ];
    for call in calls {
        assert!(!podseal(call).exits(2).err.is_empty(), "{call:?}");
    }
}

#[test]
fn bad_values_are_refused_before_anybody_is_asked() {
    let connection = ["--address", "https://127.0.0.1:1", "--verifier", ID];
    let put = |arguments: &[&str], input: &[u8]| podseal_with(&[], &[arguments, &connection].concat(), input).exits(2);
    put(&["secret", "put", "Payments"], b"x").says(&["Payments", "NAMESPACE/NAME"]);
    put(&["secret", "put", "payments/db", "--accept", "everything"], b"x").says(&["everything", "host-trusted"]);
    put(&["secret", "put", "payments/db"], b"").says(&["found 0 bytes, wanted 1 to 65536"]);
    put(&["secret", "put", "payments/db"], &vec![b'x'; 65_537]).says(&["found more bytes, wanted 1 to 65536"]);
    put(&["secret", "put", "payments/db", "--file", "/nowhere/at-all"], b"x").says(&["/nowhere/at-all"]);
}

#[test]
fn configuration_is_strict() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let with = |text: &str| {
        fs::write(&file, text).unwrap();
        podseal(&["status", "--config", file.to_str().unwrap()])
    };
    let verifier = format!("[verifier]\naddress = \"https://127.0.0.1:1\"\nid = \"{ID}\"\n");
    with("[verifier]\naddress = \"https://127.0.0.1:1\"\n").exits(2).says(&["config.toml", "id"]);
    with(&format!("{verifier}timeout = 3\n")).exits(2).says(&["unknown field", "timeout"]);
    with(&verifier.replace("3f3f", "3f")).exits(2).says(&["64 hexadecimal digits"]);
    with(&verifier.replace("https", "http")).exits(2).says(&["https://HOST:PORT"]);
    with("").exits(2).says(&["no verifier is configured"]);
    podseal(&["status"]).exits(2).says(&["no verifier is configured", "--config"]);
    podseal(&["status", "--config", "/nowhere/at-all"]).exits(2).says(&["/nowhere/at-all"]);

    // Nobody listens on port 1: that far it comes.
    with(&verifier).exits(3).says(&["127.0.0.1:1", "start the verifier"]);
    let named: &[(&str, &OsStr)] = &[("PODSEAL_CONFIG", file.as_os_str())];
    podseal_with(named, &["status"], b"").exits(3);
    fs::create_dir_all(folder.path().join(".config/podseal")).unwrap();
    fs::write(folder.path().join(".config/podseal/config.toml"), &verifier).unwrap();
    podseal_with(&[("HOME", folder.path().as_os_str())], &["status"], b"").exits(3);
}

#[test]
fn key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, mode| {
        let path = folder.path().join(name);
        fs::write(&path, "no key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let (certificate, open, closed) = (write("crt", 0o644), write("open", 0o640), write("closed", 0o600));
    let run = |key: &Path| {
        let files = ["--certificate", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
        podseal(&[["status", "--address", "https://127.0.0.1:1", "--verifier", ID].as_slice(), &files].concat()).exits(2)
    };
    run(&open).says(&["found mode 0640", "chmod 0600"]);
    run(&closed).says(&["client certificate or key"]);
}
