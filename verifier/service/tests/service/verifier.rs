//! A verifier of a test's own: its directory, its configuration, its process.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use podseal_protocol::{Digest, Limits, key::CertifiedKey, key::KeyUse, seal::import_info, seal::seal};
use podseal_wire::{
    Empty, PutSecretRequest, SecretVersion, Verifier as Identity,
    admin_client::AdminClient,
    attestation_client::AttestationClient,
    pinned::{ClientIdentity, Timeouts, connect},
};
use tonic::transport::Channel;
use zeroize::Zeroizing;

pub(crate) const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(10), call: Duration::from_secs(30) };

/// A directory that `init` has been run in.
pub(crate) struct Installation {
    directory: tempfile::TempDir,
    pub(crate) id: Digest,
    pub(crate) admin_spki: String,
}

pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_podseal-verifier"))
}

pub(crate) fn init(config: &Path) -> Output {
    binary().args(["init", "--output", "json", "--config"]).arg(config).output().unwrap()
}

impl Installation {
    /// Initialised, with its first administrator configured, and `more` at the end of the configuration.
    pub(crate) fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("verifier.toml");
        let base = "listen = \"127.0.0.1:0\"\ndata_directory = \"data\"\nkek_file = \"kek\"\n";
        fs::write(&config, base).unwrap();
        let output = init(&config);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let admin_spki = made["admin"]["spki_sha256"].as_str().unwrap().to_owned();
        fs::write(&config, format!("{base}[[admin]]\nname = \"ops\"\nspki_sha256 = \"{admin_spki}\"\n{more}")).unwrap();
        let id = Digest::from_hex(made["verifier"].as_str().unwrap()).unwrap();
        Self { directory, id, admin_spki }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("verifier.toml")
    }

    pub(crate) fn check_config(&self) -> Output {
        binary().args(["check-config", "--config"]).arg(self.config()).output().unwrap()
    }

    pub(crate) fn start(self) -> Running {
        let mut child =
            binary().args(["run", "--log-format", "json", "--config"]).arg(self.config()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the verifier ended before it was ready").unwrap();
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line}"));
            if event["message"] == "ready" {
                break format!("https://{}", event["address"].as_str().unwrap());
            }
        };
        let log = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        Running { installation: self, child, address, log: Some(log) }
    }
}

/// A serving verifier; it ends with the test.
pub(crate) struct Running {
    pub(crate) installation: Installation,
    child: Child,
    pub(crate) address: String,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn anonymous(&self) -> Channel {
        connect(&self.address, self.installation.id, None, TIMEOUTS).await.unwrap()
    }

    pub(crate) async fn as_admin(&self) -> Channel {
        let read = |name| fs::read(self.installation.path("data/admin").join(name)).unwrap();
        let (certificates, key) = (read("admin.cert.pem"), read("admin.key.pem"));
        let identity = ClientIdentity { certificates: &certificates, key: &key };
        connect(&self.address, self.installation.id, Some(identity), TIMEOUTS).await.unwrap()
    }

    pub(crate) async fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.as_admin().await)
    }

    pub(crate) async fn node(&self) -> AttestationClient<Channel> {
        AttestationClient::new(self.anonymous().await)
    }

    /// SIGTERM, then the exit code and the rest of the log.
    pub(crate) async fn stop(self) -> (Installation, Option<i32>, String) {
        tokio::task::spawn_blocking(|| self.stop_while_clients_sleep()).await.unwrap()
    }

    /// As [`Running::stop`], blocking this thread: clients that live on it hear nothing meanwhile.
    pub(crate) fn stop_while_clients_sleep(mut self) -> (Installation, Option<i32>, String) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        let log = self.log.take().unwrap().join().unwrap();
        let directory = std::mem::replace(&mut self.installation.directory, tempfile::tempdir().unwrap());
        (Installation { directory, id: self.installation.id, admin_spki: self.installation.admin_spki.clone() }, code, log)
    }
}

/// Seals a value as an operator's command line does.
pub(crate) fn sealed(identity: &Identity, name: &str, value: &[u8]) -> Vec<u8> {
    let verifier = Digest(identity.id.clone().try_into().unwrap());
    let import = CertifiedKey::verify(&identity.import_key, &verifier, KeyUse::Import, None, &Limits::DEFAULT).unwrap().p256().unwrap();
    let ephemeral = Zeroizing::new(podseal_verifier::random::bytes().unwrap());
    seal(&import, &import_info(&verifier, name), &[], value, &ephemeral).unwrap()
}

pub(crate) async fn put(admin: &mut AdminClient<Channel>, name: &str, value: &[u8]) -> Result<SecretVersion, tonic::Status> {
    let identity = admin.get_verifier(Empty {}).await.unwrap().into_inner();
    let request = PutSecretRequest { name: name.to_owned(), sealed: sealed(&identity, name, value), accepts: vec!["test-root".to_owned()] };
    Ok(admin.put_secret(request).await?.into_inner())
}

pub(crate) fn reason(status: &tonic::Status) -> &str {
    status.metadata().get("podseal-reason").and_then(|value| value.to_str().ok()).unwrap_or_default()
}
