//! `make playground`: the demo's parts, left running, with everything that one needs to look at them in `playground.json`.

mod errands;
mod hold;
mod portrait;

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use podseal_swtpm_tests::error::{BenchError, wait_for};
use podseal_swtpm_tests::{binaries, sandbox};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

const USAGE: &str = "usage: podseal-playground up | pod NODE | down

  up        starts verifier, token issuer and two nodes, on one of them a running pod, and writes playground.json
  pod NODE  starts another pod there, and prints what it got or why it got nothing (JSON); the pod ends
  down      ends them and removes everything of them, playground.json too

Exit codes: 0 done, 1 it could not be done (the reason is on standard error), 2 usage.";

/// How long starting may take; ending takes less.
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["up"] => up(),
        ["pod", node] => pod(node),
        ["down"] => down(),
        ["hold"] => hold::hold(&file()),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("playground: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// `playground.json` lies at the root of the checkout.
fn file() -> PathBuf {
    binaries::repository().join("playground.json")
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The process that holds a running playground.
fn holder(file: &Path) -> Option<Pid> {
    let pid = read(file)?.pointer("/holder/pid")?.as_i64()?;
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let own = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    (own.contains("podseal-playground") && own.contains("hold") && test_kill_process(pid).is_ok()).then_some(pid)
}

fn up() -> Result<(), BenchError> {
    if let Some(obstacle) = sandbox::obstacle() {
        return Err(BenchError::answer("this machine", obstacle, "one that can run containers"));
    }
    let file = file();
    if holder(&file).is_none() {
        // What a holder that was killed left of its own.
        let _none_is_left = fs::remove_file(&file);
        start(&file)?;
    }
    let playground = read(&file).ok_or_else(|| BenchError::answer("playground.json", "no JSON", "a playground"))?;
    portrait::print(&playground, &file);
    Ok(())
}

fn pod(node: &str) -> Result<(), BenchError> {
    let none = || BenchError::answer("playground.json", "no running playground", "one: make playground");
    let playground = read(&file()).filter(|_| holder(&file()).is_some()).ok_or_else(none)?;
    let socket = playground.pointer("/holder/socket").and_then(Value::as_str).ok_or_else(none)?;
    let answer = errands::ask(Path::new(socket), &format!("pod {node}"))?;
    match serde_json::from_str::<Value>(&answer).ok().as_ref().and_then(|answer| answer.get("error")).and_then(Value::as_str) {
        Some(error) => Err(BenchError::answer("the pod", error.to_owned(), "started or refused")),
        None => {
            print!("{answer}");
            Ok(())
        }
    }
}

fn start(file: &Path) -> Result<(), BenchError> {
    let log = std::env::temp_dir().join("podseal-playground.log");
    let output = File::create(&log).map_err(BenchError::io(format!("make {}", log.display())))?;
    let errors = output.try_clone().map_err(BenchError::io("share the log"))?;
    let own = std::env::current_exe().map_err(BenchError::io("find the own program"))?;
    // A group of its own: an interrupt at this terminal is not meant for it.
    let mut holder = Command::new(own)
        .arg("hold")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(BenchError::io("start the holder"))?;
    wait_for("the playground to stand", PATIENCE, || {
        let ended = holder.try_wait().ok().flatten().is_some();
        let told = || fs::read_to_string(&log).unwrap_or_default();
        if read(file).is_some() || ended { Ok(()) } else { Err(told()) }
    })?;
    if read(file).is_some() {
        return Ok(());
    }
    Err(BenchError::answer("the holder", fs::read_to_string(&log).unwrap_or_default(), "a running playground"))
}

fn down() -> Result<(), BenchError> {
    let file = file();
    if let Some(pid) = holder(&file) {
        kill_process(pid, Signal::TERM).map_err(|error| BenchError::io("end the holder")(error.into()))?;
        wait_for("the playground to end", PATIENCE, || {
            if test_kill_process(pid).is_err() { Ok(()) } else { Err(format!("process {} still runs", pid.as_raw_nonzero())) }
        })?;
        println!("playground: ended, and everything of it removed");
    } else {
        println!("playground: none is running");
    }
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(BenchError::io("remove playground.json")(error)),
        _ => Ok(()),
    }
}
