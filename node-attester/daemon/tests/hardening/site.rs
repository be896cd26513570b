//! What there is to be tried on, and how the probe is run.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
        process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
};

use libtest_mimic::Failed;

/// The user of the network process.
pub(crate) const NOBODY: u32 = 65_534;

/// How the probe is started: with more than it needs, so that it shows whether it gives that up.
const MUCH: &[&str] = &["--core=4096:4096", "setpriv", "--groups", "1,2", "--inh-caps", "+chown,+kill", "--ambient-caps", "+kill"];

/// Files, sockets and ports. The folder lies where another user finds it.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    verifier: TcpListener,
    other: TcpListener,
    _sockets: [UnixListener; 2],
}

/// A probe that waits, and what its attempts came to.
pub(crate) struct Answers {
    child: Child,
    lines: Vec<String>,
}

impl Site {
    pub(crate) fn new() -> Result<Self, Failed> {
        let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir_in("/tmp")?;
        let made = |name: &str, mode| fs::write(dir.path().join(name), "x").and_then(|()| chmod(&dir, name, mode));
        made("ak", 0o600)?;
        made("public", 0o644)?;
        fs::create_dir(dir.path().join("open"))?;
        chmod(&dir, "open", 0o777)?;
        made("open/old", 0o666)?;
        let bound = |name: &str, mode| UnixListener::bind(dir.path().join(name)).and_then(|l| chmod(&dir, name, mode).map(|()| l));
        let sockets = [bound("runtime.sock", 0o660)?, bound("everybodys.sock", 0o666)?];
        let port = || TcpListener::bind("127.0.0.1:0");
        Ok(Self { verifier: port()?, other: port()?, _sockets: sockets, dir })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The verifier's port.
    pub(crate) fn port(&self) -> u16 {
        self.verifier.local_addr().unwrap().port()
    }

    /// A port on which somebody else listens.
    pub(crate) fn other_port(&self) -> u16 {
        self.other.local_addr().unwrap().port()
    }

    fn command(&self, state: &str) -> Command {
        self.by(Command::new("prlimit"), MUCH, state)
    }

    /// The probe, run by a program with these words.
    fn by(&self, mut program: Command, words: &[&str], state: &str) -> Command {
        program.args(words).arg(std::env::current_exe().unwrap()).args(["probe", &format!("{state}@{}", self.port())]);
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        program
    }

    /// Tries these things in that state.
    pub(crate) fn probe(&self, state: &str, attempts: &[&str]) -> Result<Answers, Failed> {
        let mut child = self.command(state).args(attempts).spawn()?;
        let mut lines: Vec<String> = Vec::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        while lines.last().is_none_or(|line| line != "done") {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                return Err(format!("the probe in state {state} ended: {lines:?}, {:?}", child.wait()?).into());
            }
            lines.push(line.trim_end().to_owned());
        }
        Ok(Answers { child, lines })
    }

    /// What stands against that state.
    pub(crate) fn refusal(&self, state: &str) -> Result<String, Failed> {
        said(self.command(state))
    }

    /// The same, for a process that another user starts.
    pub(crate) fn refusal_as(&self, user: u32, state: &str) -> Result<String, Failed> {
        // Where that user finds it too, wherever this was built.
        let here = self.dir.path().join("probe");
        fs::copy(std::env::current_exe()?, &here)?;
        let mut command = Command::new(here);
        command.args(["probe", &format!("{state}@{}", self.port())]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.uid(user).gid(user);
        said(command)
    }

    /// A process of the network process's own user.
    pub(crate) fn victim(&self) -> Result<Answers, Failed> {
        let child = Command::new("sleep").arg("60").uid(NOBODY).gid(NOBODY).spawn()?;
        Ok(Answers { child, lines: Vec::new() })
    }
}

fn chmod(dir: &tempfile::TempDir, name: &str, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(dir.path().join(name), Permissions::from_mode(mode))
}

fn said(mut command: Command) -> Result<String, Failed> {
    let mut child = command.spawn()?;
    let mut text = String::new();
    drop(child.stdin.take());
    child.stdout.take().unwrap().read_to_string(&mut text)?;
    if child.wait()?.success() { Err(format!("it started: {text}").into()) } else { Ok(text) }
}

impl Answers {
    /// What an attempt came to: `ok`, or the name of the error.
    pub(crate) fn of(&self, attempt: &str) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix(attempt)?.strip_prefix(' ')).unwrap_or("nothing")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of `/proc/PID/status`, its words with one space between.
pub(crate) fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a process of [`NOBODY`] is dumpable: the files of one that is not belong to root (proc(5)).
pub(crate) fn is_dumpable(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}/fd")).unwrap().uid() == NOBODY
}

/// Soft and hard limit of core files.
pub(crate) fn core_limit(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
}
