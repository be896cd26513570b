//! A workload that was started, and what became of it.

use podseal_protocol::Digest;
use serde_json::Value;

use super::super::{Admin, Node};
use super::PATIENCE;
use crate::cri::messages::ContainerState;
use crate::error::{BenchError, wait_for};
use crate::pod::{RunningContainer, RunningPod};

/// A pod that was started. Its container and its sandbox end with the value.
#[derive(Debug)]
pub struct Launched<'n> {
    /// The container that runs the launcher.
    pub container: RunningContainer<'n>,
    /// Its pod.
    pub pod: RunningPod<'n>,
    /// Its node.
    pub node: &'n Node,
    pub(super) admin: Admin,
}

/// Why a launcher did not start its application.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The launcher's exit code; 77 for a refusal.
    pub code: i32,
    /// The reason that the launcher was given; empty where there was none.
    pub reason: String,
    /// The audit id; empty where nothing was decided.
    pub audit_id: String,
    /// All that the launcher wrote.
    pub stderr: String,
}

/// What became of a pod.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The application runs: what it says about itself, one line of JSON.
    Started(Value),
    /// It does not, and never did.
    Refused(Refused),
}

impl Launched<'_> {
    /// Waits until the application has spoken or the launcher has given up.
    pub fn outcome(&self) -> Result<Ended, BenchError> {
        wait_for(&format!("the launcher of {} gets an answer", self.container.id()), PATIENCE, || {
            outcome(&self.container).map_err(|error| error.to_string())?.ok_or_else(|| {
                format!("nothing; stderr {:?}; attester {}", self.container.stderr().unwrap_or_default(), tail(&self.node.attester().log()))
            })
        })
    }

    /// What the application says of itself.
    ///
    /// # Errors
    /// It was refused.
    pub fn started(&self) -> Result<Value, BenchError> {
        match self.outcome()? {
            Ended::Started(portrait) => Ok(portrait),
            Ended::Refused(refused) => Err(BenchError::answer(
                "the launcher",
                format!(
                    "exit code {}: {}{}; attester: {}",
                    refused.code,
                    refused.stderr,
                    self.admin.explain(&refused.audit_id).map_or_else(|error| error.to_string(), |explained| explained.told()),
                    tail(&self.node.attester().log())
                ),
                "a running application",
            )),
        }
    }

    /// Why it was refused.
    ///
    /// # Errors
    /// The application runs.
    pub fn refused(&self) -> Result<Refused, BenchError> {
        match self.outcome()? {
            Ended::Refused(refused) => Ok(refused),
            Ended::Started(portrait) => Err(BenchError::answer("the application", portrait.to_string(), "a refusal")),
        }
    }

    /// The audit id under which its secrets were released, from its attester's log.
    pub fn released_as(&self) -> Result<String, BenchError> {
        wait_for("the attester logs the delivery", PATIENCE, || {
            let told = self.node.told_of(self.container.id());
            let delivered = told.iter().find(|line| line["fields"]["message"] == "delivered");
            let audit_id = delivered.and_then(|line| line["fields"]["audit_id"].as_str());
            audit_id.map(str::to_owned).ok_or_else(|| format!("{told:?}"))
        })
    }
}

/// What became of a container with a launcher, if it is known by now.
pub fn outcome(container: &RunningContainer<'_>) -> Result<Option<Ended>, BenchError> {
    let stdout = container.stdout()?;
    if let Some((line, _)) = stdout.split_once('\n') {
        let portrait = serde_json::from_str(line).map_err(|_| BenchError::answer("the application", line, "one line of JSON"))?;
        return Ok(Some(Ended::Started(portrait)));
    }
    let status = container.status()?;
    if status.container.state() != ContainerState::ContainerExited {
        return Ok(None);
    }
    let stderr = container.stderr()?;
    let words = stderr.lines().find_map(|line| line.strip_prefix("podseal-launch: refused: ")).unwrap_or_default();
    let audit_id = words.split_once("(audit id ").and_then(|(_, rest)| rest.split_once(')')).map_or("", |(id, _)| id);
    let reason = words.split([':', ' ']).next().unwrap_or_default();
    Ok(Some(Ended::Refused(Refused { code: status.container.exit_code, reason: reason.to_owned(), audit_id: audit_id.to_owned(), stderr })))
}

/// The SHA-256 that `portrait` (what the payment API says of itself) has for a file.
pub fn file_digest(portrait: &Value, path: &str) -> Option<Digest> {
    let files = portrait["files"].as_array()?;
    let file = files.iter().find(|file| file["path"] == path)?;
    Digest::from_hex(file["sha256"].as_str()?)
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
