//! A real `podseal-verifier` of the test's own, and clients that know it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ran, podseal_with};

pub(crate) struct Verifier {
    pub(crate) folder: TempDir,
    pub(crate) id: String,
    pub(crate) address: String,
    child: Child,
}

impl Drop for Verifier {
    fn drop(&mut self) {
        // It may have ended by itself, which the test then has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The verifier's program, built beside ours; `None`, said aloud, where it is not (a failure where `CI` is set).
fn program() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_podseal")).with_file_name("podseal-verifier");
    if path.exists() {
        return Some(path);
    }
    let reason = format!("no verifier at {}: cargo build -p podseal-verifier", path.display());
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    // Not println: a skip shows also where the harness captures output.
    let mut terminal = std::io::stderr();
    writeln!(terminal, "SKIPPED: {reason}").unwrap();
    None
}

impl Verifier {
    /// Made and running.
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("verifier.toml");
        let settings = "listen = \"127.0.0.1:0\"\ndata_directory = \"data\"\nkek_file = \"kek\"\n";
        fs::write(&config, settings).unwrap();
        let init = Command::new(&program).args(["init", "--output", "json", "--config"]).arg(&config).output().unwrap();
        assert!(init.status.success(), "{init:?}");
        let made: Value = serde_json::from_slice(&init.stdout).unwrap();
        let admin = &made["admin"];
        fs::write(&config, format!("{settings}[[admin]]\nname = \"admin\"\nspki_sha256 = {}\n", admin["spki_sha256"])).unwrap();

        let mut run = Command::new(&program);
        run.args(["run", "--log-format", "json", "--config"]).arg(&config).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = run.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let parse = |line: String| serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let ready = lines.by_ref().map(parse).find(|line| line["message"] == "ready").expect("it says that it is ready");
        // What it logs later is for nobody, but it must be taken.
        std::thread::spawn(move || lines.for_each(drop));
        let verifier = Self {
            id: made["verifier"].as_str().unwrap().to_owned(),
            address: format!("https://{}", ready["address"].as_str().unwrap()),
            folder,
            child,
        };
        let files = format!("certificate = {}\nkey = {}\n", admin["certificate"], admin["key"]);
        verifier.write_client("client.toml", &verifier.id, &format!("[admin]\n{files}"));
        Some(verifier)
    }

    pub(crate) fn write_client(&self, name: &str, id: &str, admin: &str) {
        let text = format!("[verifier]\naddress = \"{}\"\nid = \"{id}\"\n{admin}", self.address);
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.folder.path().join(name), content).unwrap();
        self.path(name)
    }

    /// As the administrator.
    pub(crate) fn podseal(&self, arguments: &[&str]) -> Ran {
        self.podseal_with(arguments, b"")
    }

    pub(crate) fn podseal_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let client = self.folder.path().join("client.toml");
        podseal_with(&[("PODSEAL_CONFIG", client.as_os_str())], arguments, input)
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.podseal(&[arguments, &["--output", "json"]].concat()).exits(0).json()
    }
}
