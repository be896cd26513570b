//! Where a secret may be: named by the caller, one process at a time.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use super::report::{Holder, Kind};

/// Where launchers put files.
const SECRETS: &str = "/podseal/secrets";

/// This names no process: `pid:N`, with `=WORDS` behind it or not, and N runs.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} names no process: wanted pid:N=WORDS, with N a running process")]
pub struct NotOneProcess(String);

/// An application that was given the secret: it may be in its memory, and in files below `/podseal/secrets` as its mount namespace has them.
#[derive(Clone, Debug)]
pub struct Expectation {
    pid: u32,
    words: String,
    namespace: String,
}

/// A process that has the secret in its memory for another reason, which the report shows.
#[derive(Clone, Debug)]
pub struct Exemption {
    pid: u32,
    /// The reason.
    pub why: String,
}

fn parse(text: &str) -> Result<(u32, String), NotOneProcess> {
    let parsed = || {
        let (pid, words) = text.strip_prefix("pid:")?.split_once('=').unwrap_or((text.strip_prefix("pid:")?, ""));
        Some((pid.parse().ok().filter(|pid| Path::new(&format!("/proc/{pid}")).exists())?, words.to_owned()))
    };
    parsed().ok_or_else(|| NotOneProcess(text.to_owned()))
}

impl FromStr for Expectation {
    type Err = NotOneProcess;

    fn from_str(text: &str) -> Result<Self, NotOneProcess> {
        let (pid, words) = parse(text)?;
        let namespace = fs::read_link(format!("/proc/{pid}/ns/mnt")).map_err(|_| NotOneProcess(text.to_owned()))?;
        Ok(Self { pid, words, namespace: namespace.display().to_string() })
    }
}

impl FromStr for Exemption {
    type Err = NotOneProcess;

    fn from_str(text: &str) -> Result<Self, NotOneProcess> {
        let (pid, why) = parse(text)?;
        if why.is_empty() { Err(NotOneProcess(text.to_owned())) } else { Ok(Self { pid, why }) }
    }
}

impl Expectation {
    /// The place, as reports call it.
    pub fn name(&self) -> String {
        if self.words.is_empty() { format!("process {}", self.pid) } else { format!("{} (process {})", self.words, self.pid) }
    }

    pub(super) fn covers(&self, kind: Kind, holder: Option<&Holder>, namespace: &str, path: &str) -> bool {
        match kind {
            Kind::Memory => holder.is_some_and(|holder| holder.pid == self.pid),
            Kind::File => namespace == self.namespace && Path::new(path).starts_with(SECRETS),
            _ => false,
        }
    }
}

impl Exemption {
    pub(super) fn covers(&self, kind: Kind, holder: Option<&Holder>) -> bool {
        kind == Kind::Memory && holder.is_some_and(|holder| holder.pid == self.pid)
    }
}
