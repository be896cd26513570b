//! A shipped program that runs beside the test: started, watched, killed, started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{BenchError, wait_for};

const LONGEST_END: Duration = Duration::from_secs(10);

/// A process of a shipped program, perhaps under strace; it ends with the value.
#[derive(Debug)]
pub struct Daemon {
    command: Vec<String>,
    strace: Vec<String>,
    log: PathBuf,
    process: Child,
}

impl Daemon {
    /// Starts `command` (program and arguments); both its streams are appended to the file `log`. With `strace` words, such as `-e inject=…`, it runs under strace.
    pub(super) fn start(command: Vec<String>, strace: Vec<String>, log: PathBuf) -> Result<Self, BenchError> {
        let process = spawn(&command, &strace, &log)?;
        Ok(Self { command, strace, log, process })
    }

    /// The shipped program's process; strace's only child where there is one.
    pub fn pid(&self) -> u32 {
        if self.strace.is_empty() { self.process.id() } else { children(self.process.id()).first().copied().unwrap_or(self.process.id()) }
    }

    /// What it wrote so far, all its runs one after the other.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Where [`Daemon::log`] lies.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), BenchError> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| BenchError::answer("the process", "no pid", "a running process"))?;
        kill_process(pid, signal).map_err(|error| BenchError::io(format!("signal {pid:?}"))(error.into()))
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> Result<ExitStatus, BenchError> {
        self.signal(Signal::TERM)?;
        self.wait(LONGEST_END)
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        if !self.strace.is_empty() {
            for pid in children(self.process.id()).into_iter().filter_map(|child| Pid::from_raw(child.try_into().ok()?)) {
                let _gone_already = kill_process(pid, Signal::KILL);
            }
            // strace ends when it has collected its child; ended before, it would leave the child to itself.
            let _ = self.wait(LONGEST_END);
        }
        let _gone_already = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus, BenchError> {
        let name = self.command.first().cloned().unwrap_or_default();
        let process = &mut self.process;
        wait_for(&format!("{name} ends"), within, || process.try_wait().map_err(|e| e.to_string())?.ok_or_else(|| "it runs".to_owned()))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Kills it where it runs, and starts it again, with other strace words (none: without strace).
    pub(super) fn start_again(&mut self, strace: Vec<String>) -> Result<(), BenchError> {
        self.kill();
        self.process = spawn(&self.command, &strace, &self.log)?;
        self.strace = strace;
        Ok(())
    }

    /// Waits until `probe` says yes. That the process ended is an error with its log.
    pub(super) fn ready(&mut self, what: &str, mut probe: impl FnMut() -> Result<(), String>) -> Result<(), BenchError> {
        let mut ended = false;
        let waited = wait_for(what, LONGEST_END, || {
            ended = self.has_ended();
            if ended { Ok(()) } else { probe() }
        });
        if ended || waited.is_err() {
            let name = self.command.first().cloned().unwrap_or_default();
            return Err(BenchError::answer(name, format!("(ended: {ended}) this log:\n{}", self.log()), "a daemon that serves"));
        }
        waited
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(words: &[String], strace: &[String], log: &Path) -> Result<Child, BenchError> {
    let opened = || File::options().create(true).append(true).open(log);
    let file = opened().map_err(BenchError::io(format!("open {}", log.display())))?;
    let errors = file.try_clone().map_err(BenchError::io(format!("open {}", log.display())))?;
    let all: Vec<&String> = strace.iter().chain(words).collect();
    let (program, arguments) = all.split_first().ok_or_else(|| BenchError::answer("the command", "nothing", "a program"))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    command.spawn().map_err(BenchError::io(format!("start {program}")))
}

/// The children of a process (proc(5), `/proc/PID/task/TID/children`).
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}
