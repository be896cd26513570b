//! The JSON form of a case, field by field.

use podseal_protocol::Digest;
use serde::Deserialize;

use super::CaseError;
use crate::claims::{Agent, Boot, Claim, EnvVar, Memory, Mount, NodeClaims, PodLog, RootKind, Sibling, WorkloadClaims};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) about: String,
    pub(super) secret: RawSecret,
    pub(super) node: RawNode,
    pub(super) workload: RawWorkload,
    pub(super) expect: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    pub(super) name: String,
    pub(super) accepts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNode {
    node: String,
    cluster: String,
    profile: String,
    memory: Option<String>,
    boot: Option<String>,
    tpm_in_tee: Option<bool>,
    agent: Option<String>,
    root: Option<String>,
    secure_boot: Option<bool>,
    pod_log: Option<String>,
    privileged_images: Option<Vec<String>>,
    pod_log_gaps: Option<u64>,
    agent_exceptions: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVar {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMount {
    destination: String,
    kind: String,
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSibling {
    name: String,
    image: String,
    privileged: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorkload {
    cluster: String,
    namespace: String,
    pod: String,
    pod_uid: String,
    service_account: String,
    container: String,
    image: String,
    image_config: String,
    launcher: String,
    args: Vec<String>,
    env: Vec<RawVar>,
    mounts: Vec<RawMount>,
    devices: Vec<String>,
    cwd: String,
    hooks: u32,
    uid: u32,
    gid: u32,
    capabilities: Vec<String>,
    privileged: bool,
    host_network: bool,
    host_pid: bool,
    host_ipc: bool,
    shared_pid_namespace: bool,
    read_only_root: bool,
    no_new_privileges: bool,
    siblings: Vec<RawSibling>,
    token_names_node: Option<bool>,
    pod_execs: Option<u64>,
}

const ABSENT: &str = "the case leaves it out";

/// Turns raw fields into claims; the name is for errors.
pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
}

impl Reader<'_> {
    fn value(&self, field: &'static str, found: String, wanted: &'static str) -> CaseError {
        CaseError::Value { name: self.name.to_owned(), field, found, wanted }
    }

    fn digest(&self, field: &'static str, text: String) -> Result<Digest, CaseError> {
        let digest = text.strip_prefix("sha256:").and_then(Digest::from_hex);
        digest.ok_or_else(|| self.value(field, text, "sha256: and 64 hexadecimal digits"))
    }

    fn word<T: Copy>(
        &self,
        field: &'static str,
        found: Option<String>,
        known: &[(&str, T)],
        wanted: &'static str,
    ) -> Result<Claim<T>, CaseError> {
        let Some(found) = found else { return Ok(Claim::NotAppraised(ABSENT)) };
        match known.iter().find(|(word, _)| *word == found) {
            Some((_, value)) => Ok(Claim::Appraised(*value)),
            None => Err(self.value(field, found, wanted)),
        }
    }

    pub(super) fn node(&self, raw: RawNode) -> Result<NodeClaims, CaseError> {
        let boots = [Boot::None, Boot::Firmware, Boot::Kernel].map(|value| (value.as_str(), value));
        let roots = [RootKind::Production, RootKind::Test].map(|value| (value.as_str(), value));
        let logs = [PodLog::None, PodLog::Observed].map(|value| (value.as_str(), value));
        let agents = [(Agent::SelfAsserted.as_str(), Agent::SelfAsserted)];
        Ok(NodeClaims {
            node: raw.node,
            cluster: raw.cluster,
            profile: raw.profile,
            memory: self.word("memory", raw.memory, &[(Memory::None.as_str(), Memory::None)], "\"none\"")?,
            boot: self.word("boot", raw.boot, &boots, "\"none\", \"firmware\" or \"kernel\"")?,
            tpm_in_tee: given(raw.tpm_in_tee),
            agent: self.word("agent", raw.agent, &agents, "\"self-asserted\"")?,
            root: self.word("root", raw.root, &roots, "\"production\" or \"test\"")?,
            secure_boot: given(raw.secure_boot),
            pod_log: self.word("pod_log", raw.pod_log, &logs, "\"none\" or \"observed\"")?,
            privileged_images: given(raw.privileged_images),
            pod_log_gaps: given(raw.pod_log_gaps),
            agent_exceptions: given(raw.agent_exceptions),
        })
    }

    pub(super) fn workload(&self, raw: RawWorkload) -> Result<WorkloadClaims, CaseError> {
        let env = raw.env.into_iter().map(|v| Ok(EnvVar { name: v.name, value: self.digest("env.value", v.value)? }));
        let siblings = raw.siblings.into_iter().map(|s| {
            let image = self.digest("siblings.image", s.image)?;
            Ok(Sibling { name: s.name, image, privileged: s.privileged })
        });
        let mounts = raw.mounts.into_iter().map(|m| Mount { destination: m.destination, kind: m.kind, read_only: m.read_only });
        Ok(WorkloadClaims {
            cluster: raw.cluster,
            namespace: raw.namespace,
            pod: raw.pod,
            pod_uid: raw.pod_uid,
            service_account: raw.service_account,
            container: raw.container,
            image: self.digest("image", raw.image)?,
            image_config: self.digest("image_config", raw.image_config)?,
            launcher: self.digest("launcher", raw.launcher)?,
            args: raw.args,
            env: env.collect::<Result<_, _>>()?,
            mounts: mounts.collect(),
            devices: raw.devices,
            cwd: raw.cwd,
            hooks: raw.hooks,
            uid: raw.uid,
            gid: raw.gid,
            capabilities: raw.capabilities,
            privileged: raw.privileged,
            host_network: raw.host_network,
            host_pid: raw.host_pid,
            host_ipc: raw.host_ipc,
            shared_pid: raw.shared_pid_namespace,
            read_only_root: raw.read_only_root,
            no_new_privileges: raw.no_new_privileges,
            siblings: siblings.collect::<Result<_, _>>()?,
            token_names_node: given(raw.token_names_node),
            pod_execs: given(raw.pod_execs),
        })
    }
}

fn given<T>(value: Option<T>) -> Claim<T> {
    value.map_or(Claim::NotAppraised(ABSENT), Claim::Appraised)
}
