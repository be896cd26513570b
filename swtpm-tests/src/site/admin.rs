//! The administrator: the shipped command line, and raw calls for what no command does.

use std::fs;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use podseal_wire::admin_client::AdminClient;
use podseal_wire::attestation_client::AttestationClient;
use podseal_wire::pinned::{self, ClientIdentity, Timeouts};
use podseal_wire::{AuditId, Explanation};
use serde_json::Value;
use tonic::transport::Channel;

use super::verifier::Verifier;
use crate::binaries::program;
use crate::cri::runtime;
use crate::error::BenchError;

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(30) };
const LARGEST_ANSWER: usize = 64 << 20;

/// How a run of `podseal` ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// The output as JSON, when it ended well.
    pub fn json(&self) -> Result<Value, BenchError> {
        let shown = || format!("exit code {:?}\n{}{}", self.code, self.stdout, self.stderr);
        if self.code != Some(0) {
            return Err(BenchError::answer("podseal", shown(), "exit code 0"));
        }
        serde_json::from_str(&self.stdout).map_err(|_| BenchError::answer("podseal", shown(), "JSON"))
    }
}

/// Who administers one verifier. It knows address and credentials, so it outlives restarts.
#[derive(Clone, Debug)]
pub struct Admin {
    address: String,
    id: String,
    certificate: PathBuf,
    key: PathBuf,
}

impl Admin {
    /// The administrator that `init` made.
    pub fn of(verifier: &Verifier) -> Self {
        Self {
            address: verifier.address(),
            id: verifier.id().to_owned(),
            certificate: verifier.admin_certificate(),
            key: verifier.admin_key(),
        }
    }

    /// Runs `podseal WORDS… --output json` and returns its result; a failure is an error.
    pub fn podseal(&self, words: &[&str]) -> Result<Value, BenchError> {
        self.run(words, b"")?.json()
    }

    /// Runs `podseal WORDS… --output json` with `input` at its standard input, to its end, however that is.
    pub fn run(&self, words: &[&str], input: &[u8]) -> Result<Ran, BenchError> {
        self.run_for("json", words, input)
    }

    /// Runs `podseal WORDS…` as a person would, to its end, however that is.
    pub fn show(&self, words: &[&str]) -> Result<Ran, BenchError> {
        self.run_for("table", words, b"")
    }

    fn run_for(&self, format: &str, words: &[&str], input: &[u8]) -> Result<Ran, BenchError> {
        let mut command = Command::new(program("podseal")?);
        command.args(words).args(["--output", format, "--address", &self.address, "--verifier", &self.id]);
        command.arg("--certificate").arg(&self.certificate).arg("--key").arg(&self.key);
        let mut child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(BenchError::io("start podseal"))?;
        if let Some(mut stdin) = child.stdin.take() {
            let _it_may_not_read = stdin.write_all(input);
        }
        let output = child.wait_with_output().map_err(BenchError::io("wait for podseal"))?;
        Ok(Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A raw call to the admin API with the administrator's certificate.
    ///
    /// # Errors
    /// [`BenchError::Runtime`] carries the verifier's status; a connection that fails is one too.
    pub fn call<T, F>(&self, call: impl FnOnce(AdminClient<Channel>) -> F) -> Result<T, BenchError>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let read = |path: &PathBuf| fs::read(path).map_err(BenchError::io(format!("read {}", path.display())));
        let (certificates, key) = (read(&self.certificate)?, read(&self.key)?);
        let channel = self.channel(Some(ClientIdentity { certificates: &certificates, key: &key }))?;
        answer("the admin API", call(AdminClient::new(channel).max_decoding_message_size(LARGEST_ANSWER)))
    }

    /// A raw call to the attestation API, which needs no certificate.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub fn call_attestation<T, F>(&self, call: impl FnOnce(AttestationClient<Channel>) -> F) -> Result<T, BenchError>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        over(self.channel(None)?, call)
    }

    /// A channel to the pinned verifier, with the given identity or with none. Dropping it closes the connection.
    pub fn channel(&self, identity: Option<ClientIdentity<'_>>) -> Result<Channel, BenchError> {
        let id = podseal_protocol::Digest::from_hex(&self.id).unwrap_or(podseal_protocol::Digest([0; 32]));
        let connected = runtime()?.block_on(pinned::connect(&self.address, id, identity, TIMEOUTS));
        connected.map_err(|error| BenchError::answer(self.address.clone(), error.to_string(), "a connection to the verifier"))
    }

    /// What was decided under an audit id.
    pub fn explain(&self, audit_id: &str) -> Result<Explained, BenchError> {
        let request = AuditId { audit_id: audit_id.into() };
        self.call(|mut client| async move { client.explain(request).await }).map(Explained)
    }
}

/// A raw call to the attestation API over a connection that is kept: [`Admin::channel`].
///
/// # Errors
/// As [`Admin::call`].
pub fn over<T, F>(channel: Channel, call: impl FnOnce(AttestationClient<Channel>) -> F) -> Result<T, BenchError>
where
    F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
{
    let client = AttestationClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
    answer("the attestation API", call(client.max_encoding_message_size(LARGEST_ANSWER)))
}

fn answer<T>(call: &'static str, reply: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>) -> Result<T, BenchError> {
    let answer = runtime()?.block_on(reply);
    answer.map(tonic::Response::into_inner).map_err(|status| BenchError::Runtime { call, status: Box::new(status) })
}

/// What the verifier says about one decision.
#[derive(Clone, Debug)]
pub struct Explained(pub Explanation);

impl Explained {
    /// `released`, `refused`, `rejected` or `changed`.
    pub fn result(&self) -> &str {
        &self.0.result
    }

    /// The first check that did not pass.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Names of the checks that did not pass, in their order.
    pub fn obstacles(&self) -> Vec<&str> {
        self.0.checks.iter().filter(|check| check.verdict != "pass").map(|check| check.name.as_str()).collect()
    }

    /// The check of this name, if it was owed or recorded.
    pub fn check(&self, name: &str) -> Option<&podseal_wire::Check> {
        self.0.checks.iter().find(|check| check.name == name)
    }

    /// Everything that was written about the checks that did not pass: names, findings, origins.
    pub fn told(&self) -> String {
        let failed = self.0.checks.iter().filter(|check| check.verdict != "pass");
        failed.map(|c| format!("{} {}: expected {:?}, found {:?}, from {:?}\n", c.verdict, c.name, c.expected, c.found, c.origin)).collect()
    }
}
