//! The verifier: the shipped program with a configuration, a store and an administrator of its own.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use podseal_protocol::Digest;
use rustix::process::Signal;
use serde::Deserialize;

use super::daemon::Daemon;
use crate::binaries::program;
use crate::error::{BenchError, run};
use crate::ports;

/// A running verifier; it ends with the value.
#[derive(Debug)]
pub struct Verifier {
    dir: PathBuf,
    port: u16,
    id: String,
    daemon: Daemon,
}

/// What `podseal-verifier init --output json` prints.
#[derive(Deserialize)]
struct Made {
    verifier: String,
    admin: MadeAdmin,
}

#[derive(Deserialize)]
struct MadeAdmin {
    spki_sha256: String,
}

impl Verifier {
    /// Makes a verifier in `dir` that trusts `ek_root` (PEM) as a test root, and starts it.
    pub fn start(dir: &Path, ek_root: &Path) -> Result<Self, BenchError> {
        Self::start_with(dir, ek_root, "", &[])
    }

    /// [`Verifier::start`], with more lines at the end of its configuration, and under strace where `strace` has words.
    pub fn start_with(dir: &Path, ek_root: &Path, more: &str, strace: &[&str]) -> Result<Self, BenchError> {
        let (port, id) = init(dir, ek_root, more)?;
        let daemon = Daemon::start(command(dir)?, words(strace), dir.join("verifier.log"))?;
        let verifier = Self { dir: dir.to_path_buf(), port, id, daemon };
        verifier.ready()?;
        Ok(verifier)
    }

    /// The verifier's identity: 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// [`Verifier::id`] as the protocol has it.
    pub fn digest(&self) -> Digest {
        Digest::from_hex(&self.id).unwrap_or(Digest([0; 32]))
    }

    /// `https://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("verifier.toml")
    }

    /// Its data directory: everything below belongs to the verifier.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The SQLite file; beside it lie `-wal` and `-shm`.
    pub fn database(&self) -> PathBuf {
        self.data().join("podseal.db")
    }

    /// The archive's directory.
    pub fn archive(&self) -> PathBuf {
        self.data().join("archive")
    }

    /// The key-encryption key's file.
    pub fn kek(&self) -> PathBuf {
        self.dir.join("kek")
    }

    /// The administrator's certificate, PEM.
    pub fn admin_certificate(&self) -> PathBuf {
        self.data().join("admin/admin.cert.pem")
    }

    /// The administrator's key, PEM.
    pub fn admin_key(&self) -> PathBuf {
        self.data().join("admin/admin.key.pem")
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The process, to be ended by its own means.
    pub fn daemon_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> Result<ExitStatus, BenchError> {
        self.daemon.stop()
    }

    /// Kills it where it runs, and starts it again on the same files.
    pub fn restart(&mut self) -> Result<(), BenchError> {
        self.restart_under(&[])
    }

    /// [`Verifier::restart`] under strace with these words, such as `["-f", "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=3"]`.
    ///
    /// # Errors
    /// Also where an injected fault ended it before it served.
    pub fn restart_under(&mut self, strace: &[&str]) -> Result<(), BenchError> {
        self.daemon.start_again(words(strace))?;
        self.ready()
    }

    /// Kills it where it runs, and starts it again with `--log-level` from now on.
    pub fn restart_at_level(&mut self, level: &str) -> Result<(), BenchError> {
        self.daemon.start_again_with(&["--log-level", level])?;
        self.ready()
    }

    /// Crashes it by SIGSEGV with core dumps of any size allowed, and starts it again. How it ended.
    pub fn crash(&self) -> Result<ExitStatus, BenchError> {
        let status = self.daemon.end_by(Signal::SEGV, || ())?.0;
        self.ready()?;
        Ok(status)
    }

    fn ready(&self) -> Result<(), BenchError> {
        let port = self.port;
        self.daemon.ready("the verifier listens", || {
            TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|error| error.to_string())
        })
    }
}

/// Writes the configuration, runs `init`, and makes what it printed the administrator.
fn init(dir: &Path, ek_root: &Path, more: &str) -> Result<(u16, String), BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
    let root = dir.join("ek-root.pem");
    fs::copy(ek_root, &root).map_err(BenchError::io(format!("copy {}", ek_root.display())))?;
    open_to_read(&root)?;
    let port = ports::free()?;
    let config = dir.join("verifier.toml");
    let text = format!(
        "listen = \"127.0.0.1:{port}\"\ndata_directory = \"data\"\nkek_file = \"kek\"\n{more}\n[[ek_root]]\nname = \"bench\"\nfile = \"ek-root.pem\"\nkind = \"test\"\n"
    );
    write(&config, &text)?;
    let made = run(Command::new(program("podseal-verifier")?).args(["init", "--output", "json", "--config"]).arg(&config))?;
    let made: Made = serde_json::from_str(&made)
        .map_err(|error| BenchError::answer("podseal-verifier init", error.to_string(), "verifier and admin"))?;
    write(&config, &format!("{text}\n[[admin]]\nname = \"admin\"\nspki_sha256 = \"{}\"\n", made.admin.spki_sha256))?;
    Ok((port, made.verifier))
}

fn command(dir: &Path) -> Result<Vec<String>, BenchError> {
    let program = program("podseal-verifier")?;
    let config = dir.join("verifier.toml");
    Ok([program.display().to_string(), "run".into(), "--log-format".into(), "json".into(), "--config".into(), config.display().to_string()]
        .into())
}

/// strace and its words, or nothing.
fn words(strace: &[&str]) -> Vec<String> {
    if strace.is_empty() { Vec::new() } else { ["strace"].iter().chain(strace).chain(&["--"]).map(ToString::to_string).collect() }
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(BenchError::io(format!("write {}", path.display())))?;
    open_to_read(path)
}

/// Whatever the umask is: nobody else may write.
fn open_to_read(path: &Path) -> Result<(), BenchError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(BenchError::io(format!("chmod {}", path.display())))
}
