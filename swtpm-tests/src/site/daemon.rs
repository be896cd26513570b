//! A shipped program that runs beside the test: started, watched, killed, started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};

use crate::children;
use crate::error::{BenchError, wait_for};

const LONGEST_END: Duration = Duration::from_secs(10);

/// A process of a shipped program, perhaps under strace; it ends with the value.
#[derive(Debug)]
pub struct Daemon {
    command: Vec<String>,
    strace: Vec<String>,
    log: PathBuf,
    process: Mutex<Child>,
}

impl Daemon {
    /// Starts `command` (program and arguments); both its streams are appended to the file `log`. With `strace` words, such as `-e inject=…`, it runs under strace.
    pub(crate) fn start(command: Vec<String>, strace: Vec<String>, log: PathBuf) -> Result<Self, BenchError> {
        let process = Mutex::new(spawn(&command, &strace, &log)?);
        Ok(Self { command, strace, log, process })
    }

    /// The shipped program's process; strace's only child where there is one.
    pub fn pid(&self) -> u32 {
        let own = self.process().id();
        if self.strace.is_empty() { own } else { children(own).first().copied().unwrap_or(own) }
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
            let own = self.process().id();
            for pid in children(own).into_iter().filter_map(|child| Pid::from_raw(child.try_into().ok()?)) {
                let _gone_already = kill_process(pid, Signal::KILL);
            }
            // strace ends when it has collected its child; ended before, it would leave the child to itself.
            let _ = self.wait(LONGEST_END);
        }
        let mut process = self.process();
        let _gone_already = process.kill();
        let _ = process.wait();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&self, within: Duration) -> Result<ExitStatus, BenchError> {
        let name = self.command.first().cloned().unwrap_or_default();
        wait_for(&format!("{name} ends"), within, || {
            self.process().try_wait().map_err(|e| e.to_string())?.ok_or_else(|| "it runs".to_owned())
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        !matches!(self.process().try_wait(), Ok(None))
    }

    /// Kills it where it runs, and starts it again, with other strace words (none: without strace).
    pub(super) fn start_again(&mut self, strace: Vec<String>) -> Result<(), BenchError> {
        self.kill();
        *self.process() = spawn(&self.command, &strace, &self.log)?;
        self.strace = strace;
        Ok(())
    }

    /// [`Daemon::start_again`] with more words at the end of its command, from now on.
    pub(super) fn start_again_with(&mut self, words: &[&str]) -> Result<(), BenchError> {
        self.command.extend(words.iter().map(ToString::to_string));
        self.start_again(Vec::new())
    }

    /// Ends it by a signal, does `meanwhile`, and starts it again. It may dump a core as large as this process may, from its start on, and once more now, should it have lowered
    /// its limit and we may raise it. How it ended: whether it dumped one is in there.
    pub(crate) fn end_by<T>(&self, signal: Signal, meanwhile: impl FnOnce() -> T) -> Result<(ExitStatus, T), BenchError> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let _needs_cap_sys_resource = prlimit(pid, Resource::Core, Rlimit { current: None, maximum: None });
        // Rust's own handler takes the first signal for a mistake and lets the second one end the process.
        let status = wait_for("the daemon ends", LONGEST_END, || {
            self.signal(signal).map_err(|error| error.to_string())?;
            self.process().try_wait().map_err(|error| error.to_string())?.ok_or_else(|| "it runs".to_owned())
        })?;
        let done = meanwhile();
        *self.process() = spawn(&self.command, &self.strace, &self.log)?;
        Ok((status, done))
    }

    fn process(&self) -> MutexGuard<'_, Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `probe` says yes. That the process ended is an error with its log.
    pub(super) fn ready(&self, what: &str, probe: impl FnMut() -> Result<(), String>) -> Result<(), BenchError> {
        self.ready_within(what, LONGEST_END, probe)
    }

    /// [`Daemon::ready`] for daemons that take longer.
    pub(crate) fn ready_within(
        &self,
        what: &str,
        within: Duration,
        mut probe: impl FnMut() -> Result<(), String>,
    ) -> Result<(), BenchError> {
        let mut ended = false;
        let waited = wait_for(what, within, || {
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
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: maximum, maximum }).map_err(|error| BenchError::io("allow core dumps")(error.into()))?;
    let opened = || File::options().create(true).append(true).open(log);
    let file = opened().map_err(BenchError::io(format!("open {}", log.display())))?;
    let errors = file.try_clone().map_err(BenchError::io(format!("open {}", log.display())))?;
    let all: Vec<&String> = strace.iter().chain(words).collect();
    let (program, arguments) = all.split_first().ok_or_else(|| BenchError::answer("the command", "nothing", "a program"))?;
    let mut command = Command::new(program);
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    command.args(arguments).env_clear().env("PATH", path);
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    children::spawn(&mut command).map_err(BenchError::io(format!("start {program}")))
}

/// The children of a process (proc(5), `/proc/PID/task/TID/children`).
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}
