//! Software TPMs with an EK certificate from a maker of their own.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use podseal_node_attester::config::Tcti;
use tempfile::TempDir;

/// A maker of software TPMs; what it made is gone with it.
pub(crate) struct Maker(TempDir);

impl Maker {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path().display();
        let ca = format!("statedir = {d}\nsigningkey = {d}/signkey.pem\nissuercert = {d}/issuercert.pem\ncertserial = {d}/certserial\n");
        fs::write(dir.path().join("localca.conf"), ca).unwrap();
        fs::write(dir.path().join("localca.options"), "--platform-manufacturer Test\n--platform-version 1\n--platform-model Test\n")
            .unwrap();
        let tool = ["/usr/bin/swtpm_localca", "/usr/share/swtpm/swtpm-localca"].into_iter().find(|path| Path::new(path).exists());
        let tool = tool.expect("swtpm-tools is installed: run scripts/setup");
        let setup = format!(
            "create_certs_tool = {tool}\ncreate_certs_tool_config = {d}/localca.conf\ncreate_certs_tool_options = {d}/localca.options\n"
        );
        fs::write(dir.path().join("setup.conf"), setup).unwrap();
        Self(dir)
    }

    /// Makes a TPM; its state folder.
    pub(crate) fn make(&self, name: &str) -> PathBuf {
        let state = self.0.path().join(name);
        fs::create_dir(&state).unwrap();
        let mut setup = Command::new("swtpm_setup");
        setup.args(["--tpm2", "--create-ek-cert", "--lock-nvram", "--pcr-banks", "sha256", "--vmid", name]);
        let output = setup.arg("--tpmstate").arg(&state).arg("--config").arg(self.0.path().join("setup.conf")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        state
    }
}

/// A running TPM.
pub(crate) struct Swtpm {
    state: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Swtpm {
    pub(crate) fn start(state: PathBuf) -> Self {
        let mut tpm = Self { state, port: two_free_ports(), process: None };
        tpm.power_on();
        tpm
    }

    pub(crate) fn tcti(&self) -> Tcti {
        Tcti::Swtpm { host: "127.0.0.1".to_owned(), port: self.port }
    }

    pub(crate) fn power_on(&mut self) {
        let mut swtpm = Command::new("swtpm");
        swtpm.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        swtpm.arg("--tpmstate").arg(format!("dir={}", self.state.display()));
        swtpm.args(["--server", &format!("type=tcp,port={},bindaddr=127.0.0.1", self.port)]);
        swtpm.args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", self.port + 1)]);
        self.process = Some(swtpm.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("swtpm is installed: run scripts/setup"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port + 1)).is_err() {
            assert!(Instant::now() < deadline, "swtpm does not answer");
            std::thread::yield_now();
        }
    }

    /// Sends its process a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn power_off(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The first of two neighbouring ports that nobody uses: the software stack takes the control port to be the next one. They lie below those
/// that the kernel gives to outgoing connections, and no other test of this run gets them, so that a TPM can come back to its own.
fn two_free_ports() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let at = (std::process::id() * 64 + TAKEN.fetch_add(2, Ordering::Relaxed)) % 20_000;
        let port = 10_000 + u16::try_from(at & !1).unwrap();
        if [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}
