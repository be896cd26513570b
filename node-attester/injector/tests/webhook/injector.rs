//! The shipped program: run to its end, or started and left to serve.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

/// The verifier's identity in every fixture.
pub(crate) const VERIFIER: &str = "3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f";

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_podseal-injector"))
}

/// Runs the program with `input` on its standard input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child =
        program().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A program that refuses its arguments does not read.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A folder with a CA, a certificate and a configuration.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// `limits` are lines of `[limits]`.
    pub(crate) fn new(limits: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder") };
        site.certificate(&[]);
        let config = format!(
            "listen = \"127.0.0.1:0\"\n[verifier]\nid = \"{VERIFIER}\"\n[tls]\ncertificate = \"tls/tls.crt\"\nkey = \"tls/tls.key\"\nreload_s = 1\n\
             [limits]\n{limits}\n"
        );
        fs::write(site.config(), config).expect("the configuration is written");
        site
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("injector.toml")
    }

    pub(crate) fn tls(&self, name: &str) -> PathBuf {
        self.folder.path().join("tls").join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `podseal-injector certificate` into this site's folder.
    pub(crate) fn certificate(&self, more: &[&str]) -> Output {
        let out = self.folder.path().join("tls");
        let usual = ["certificate", "--service", "podseal-injector", "--namespace", "podseal", "--out", out.to_str().expect("UTF-8")];
        run(&[&usual[..], more].concat(), b"")
    }

    pub(crate) fn start(&self) -> Serving {
        let mut child = program().arg("run").arg("--config").arg(self.config()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Serving { address: address.unwrap_or_else(|| panic!("found {line:?}, wanted the line that says ready")), child, log }
    }
}

/// A program that serves. It is ended when this goes away.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Serving {
    pub(crate) fn terminate(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the signal is sent");
    }

    /// The next line of the log with `words` in it.
    pub(crate) fn says(&mut self, words: &str) -> String {
        let mut line = String::new();
        while self.log.read_line(&mut line).expect("a line") > 0 {
            if line.contains(words) {
                return line;
            }
            line.clear();
        }
        panic!("the program ended and did not say {words:?}");
    }

    pub(crate) fn code(mut self) -> Option<i32> {
        self.child.wait().expect("the program ends").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
