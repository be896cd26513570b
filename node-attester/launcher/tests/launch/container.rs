//! What surrounds a launcher: a folder of its own, a tmpfs for the secrets, a socket path, and an unprivileged user.

use std::{
    ffi::CString,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
};

use podseal_protocol::frame::WorkloadRequest;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::{
    attester::{Answer, Attester, Script},
    verifier::{Release, Verifier},
};

/// The user that the launcher and its application run as.
pub(crate) const USER: u32 = 1000;

/// The secrets of most tests.
pub(crate) const FILES: &[(&str, &[u8])] = &[("db", b"correct horse"), ("tls.pem", b"\x00\xff battery staple\n")];

/// One container's surroundings; the mount goes with it.
pub(crate) struct Container {
    pub(crate) folder: TempDir,
    pub(crate) verifier: Verifier,
}

impl Container {
    /// `None`, with a line that says so, where no tmpfs can be mounted; a failure where that is so and CI is set.
    pub(crate) fn new(test: &str) -> Option<Self> {
        Self::mounted(test, &format!("mode=0700,uid={USER},size=1m"))
    }

    /// With these tmpfs options.
    pub(crate) fn mounted(test: &str, options: &str) -> Option<Self> {
        let container = Self::bare();
        let options = CString::new(options).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        match mount("tmpfs", container.secrets(), "tmpfs", flags, Some(options.as_c_str())) {
            Ok(()) => Some(container),
            Err(e) => {
                skip(test, &format!("mounting a tmpfs: {e}; needs root"));
                None
            }
        }
    }

    /// Without a tmpfs.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder, verifier: Verifier::new(1) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.path("secrets")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Writes an executable file (or one with another mode) into the folder.
    pub(crate) fn program(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _nobody_forks = FORKS.lock();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Listens with these scripts.
    pub(crate) fn attester(&self, scripts: Vec<Script>) -> Attester {
        Attester::listen(&self.path("attester.sock"), scripts)
    }

    /// Listens and delivers [`FILES`] once, honestly, with this image.
    pub(crate) fn delivers(&self, entrypoint: &'static [&'static str], cmd: &'static [&'static str]) -> Attester {
        self.attester(vec![self.honest(entrypoint, cmd)])
    }

    /// The script of an honest delivery of [`FILES`].
    pub(crate) fn honest(&self, entrypoint: &'static [&'static str], cmd: &'static [&'static str]) -> Script {
        let verifier = Verifier::new(1);
        Box::new(move |request: &WorkloadRequest| {
            let release: Release = verifier.release(request, FILES).image(entrypoint, cmd);
            Answer::Reply(release.reply(&release.sign(&verifier)))
        })
    }

    /// The launcher's own arguments, and `words` after them.
    pub(crate) fn arguments(&self, words: &[&str]) -> Vec<String> {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let id = self.verifier.id().to_string();
        let options = [("--verifier", id), ("--socket", path("attester.sock")), ("--token", path("token")), ("--secrets", path("secrets"))];
        let wait = if words.contains(&"--wait") { &[][..] } else { &["--wait", "20"] };
        let words = wait.iter().chain(words);
        let options = options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
        options.chain(words.map(|word| (*word).to_owned())).collect()
    }

    /// A copy of the launcher that the unprivileged user can reach.
    pub(crate) fn launcher(&self) -> PathBuf {
        let copy = self.path("podseal-launch");
        if !copy.exists() {
            let _nobody_forks = FORKS.lock();
            fs::copy(env!("CARGO_BIN_EXE_podseal-launch"), &copy).unwrap();
        }
        copy
    }

    /// The launcher, about to start with these words after its own arguments.
    pub(crate) fn launch(&self, words: &[&str]) -> Command {
        let mut command = self.command(&self.launcher());
        command.args(self.arguments(words));
        command
    }

    /// `program` as the launcher would be started: unprivileged where tests run as root, with a small environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("GREETING", "good  day=").current_dir(self.work());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if rustix::process::geteuid().is_root() {
            command.uid(USER).gid(USER);
        }
        command
    }

    /// What lies in the secrets folder.
    pub(crate) fn placed(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.secrets()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // There is no mount in a bare one.
        let _ = unmount(self.secrets(), UnmountFlags::DETACH);
    }
}

/// Says that a test did not run, past the capture of the test harness.
pub(crate) fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test} cannot be skipped where CI is set: {why}");
    std::io::stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes()).unwrap();
}

/// Held while a program is written, and while a process is started: a child that another test forks meanwhile would hold the file open
/// for writing until its own `execve`, and an open file is not executed (ETXTBSY).
static FORKS: Mutex<()> = Mutex::new(());

/// Starts.
pub(crate) fn start(command: &mut Command) -> Child {
    let _nobody_writes = FORKS.lock();
    command.spawn().unwrap()
}

/// Starts and ends, with what it wrote.
pub(crate) fn run(command: &mut Command) -> Output {
    start(command).wait_with_output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Reads one line of a running launcher's stderr.
pub(crate) fn stderr_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

/// Asserts that nothing ran and nothing lies there, and that the launcher said `why` with this code.
#[track_caller]
pub(crate) fn assert_nothing_happened(container: &Container, output: &Output, code: i32, why: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(stderr(output).contains(why), "wanted {why:?} in {:?}", stderr(output));
    assert_eq!(stdout(output), "", "the application ran");
    assert_eq!(container.placed(), Vec::<String>::new());
}
