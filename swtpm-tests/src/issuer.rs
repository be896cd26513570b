//! The cluster's token issuer: a process of its own, so that its private keys are nowhere else.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::binaries::program;
use crate::children;
use crate::error::BenchError;

/// A signature algorithm of the issuer (RFC 7518, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

/// A Kubernetes object as a token names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Object {
    /// An object by name and uid.
    pub fn new(name: &str, uid: &str) -> Self {
        Self { name: name.into(), uid: uid.into() }
    }
}

/// A token to be issued: one JSON line to the issuer's socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Which key signs.
    pub alg: Alg,
    /// A `kid` to claim instead of that key's own.
    pub kid: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// How long ago it was issued, in seconds: `iat` and `nbf`.
    pub age: i64,
    /// From `iat` to `exp`, in seconds.
    pub lifetime: i64,
    /// `kubernetes.io`.`namespace`.
    pub namespace: String,
    /// `kubernetes.io`.`serviceaccount`.
    pub service_account: Object,
    /// `kubernetes.io`.`pod`.
    pub pod: Object,
    /// `kubernetes.io`.`node`.
    pub node: Object,
    /// Claims to leave out: `exp`, `kubernetes.io`, or below it `kubernetes.io/node`.
    pub omit: Vec<String>,
}

/// A running issuer; it ends with the value.
#[derive(Debug)]
pub struct Issuer {
    process: Child,
    socket: PathBuf,
    jwks: PathBuf,
}

impl Issuer {
    /// Starts an issuer with fresh keys and the given `iss`; its socket and JWKS lie in `dir` (made if missing).
    pub fn start(dir: &Path, issuer: &str) -> Result<Self, BenchError> {
        std::fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let (socket, jwks) = (dir.join("issuer.sock"), dir.join("jwks.json"));
        let mut command = Command::new(program("podseal-test-issuer")?);
        command.arg(&socket).arg(&jwks).arg(issuer).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = children::spawn(&mut command).map_err(BenchError::io("start podseal-test-issuer"))?;
        let mut ready = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready).map_err(BenchError::io("wait for podseal-test-issuer"))?;
        }
        let issuer = Self { process, socket, jwks };
        if ready.is_empty() {
            return Err(BenchError::answer("podseal-test-issuer", "no JWKS path before it ended", "its JWKS path"));
        }
        Ok(issuer)
    }

    /// The issuer's public keys, a JWK set (RFC 7517).
    pub fn jwks(&self) -> &Path {
        &self.jwks
    }

    /// The socket, for others that ask for tokens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has a token signed.
    pub fn token(&self, request: &TokenRequest) -> Result<String, BenchError> {
        let doing = "ask podseal-test-issuer for a token";
        let mut stream = UnixStream::connect(&self.socket).map_err(BenchError::io(doing))?;
        let line = serde_json::to_string(request).map_err(|error| BenchError::answer("the request", error.to_string(), "JSON"))?;
        writeln!(stream, "{line}").map_err(BenchError::io(doing))?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).map_err(BenchError::io(doing))?;
        let token = answer.trim_end();
        match token.strip_prefix("error: ") {
            None if !token.is_empty() => Ok(token.to_owned()),
            refused => Err(BenchError::answer("podseal-test-issuer", refused.unwrap_or("nothing"), "a token")),
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
