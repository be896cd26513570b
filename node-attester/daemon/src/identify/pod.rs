//! Pods and containers as the runtime describes them.

use std::collections::HashMap;

use podseal_protocol::{HostNamespaces, Limits, PodContainer, require};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Refusal,
    cri::{ContainerState, ContainerStatusResponse, NamespaceMode, PodSandboxState, PodSandboxStatusResponse},
    image::Image,
};

/// Most containers of one pod that are taken.
const MOST_CONTAINERS: usize = 256;

/// A container as the runtime describes it.
pub(super) struct ContainerFacts {
    id: String,
    /// Name within the pod.
    pub(super) name: String,
    state: ContainerState,
    /// Pid of its init process in the node's PID namespace; 0 before it was started.
    pub(super) pid: i64,
    /// Id of its pod's sandbox.
    pub(super) sandbox_id: String,
    /// How the runtime names its image.
    pub(super) image_ref: String,
    /// The OCI runtime spec, byte for byte.
    pub(super) spec: Vec<u8>,
    pub(super) privileged: bool,
}

/// A pod's sandbox as the runtime describes it.
pub(super) struct Sandbox {
    pub(super) id: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) annotations: HashMap<String, String>,
    pub(super) host_namespaces: HostNamespaces,
    pub(super) ready: bool,
}

/// The part of a container's `info["info"]` that is read.
#[derive(Deserialize)]
struct Info<'a> {
    #[serde(default)]
    pid: i64,
    #[serde(rename = "sandboxID")]
    sandbox_id: String,
    #[serde(borrow, rename = "runtimeSpec")]
    runtime_spec: &'a RawValue,
    /// Where CRI-O says it.
    privileged: Option<bool>,
    /// Where containerd says it: the configuration that the kubelet sent.
    config: Option<Configuration>,
}

#[derive(Deserialize)]
struct Configuration {
    linux: Option<LinuxConfiguration>,
}

#[derive(Deserialize)]
struct LinuxConfiguration {
    security_context: Option<SecurityContext>,
}

#[derive(Deserialize)]
struct SecurityContext {
    #[serde(default)]
    privileged: bool,
}

impl Info<'_> {
    /// `None` where the runtime says nothing about it.
    fn is_privileged(&self) -> Option<bool> {
        let context = self.config.as_ref().map(|c| c.linux.as_ref().and_then(|l| l.security_context.as_ref()));
        let requested = context.map(|context| context.is_some_and(|c| c.privileged));
        match (self.privileged, requested) {
            (None, None) => None,
            (said, requested) => Some(said == Some(true) || requested == Some(true)),
        }
    }
}

impl ContainerFacts {
    fn is_running(&self) -> bool {
        self.state == ContainerState::ContainerRunning
    }

    /// Created, or running and its pid not known yet.
    pub(super) fn is_starting(&self) -> bool {
        self.state == ContainerState::ContainerCreated || (self.is_running() && self.pid == 0)
    }

    /// Pid of the init process; 0, which is nobody's, where none runs.
    pub(super) fn init(&self) -> i64 {
        if self.is_running() { self.pid } else { 0 }
    }

    /// As a member of its pod.
    pub(super) fn member(self, image: &Image) -> PodContainer {
        let Self { id, name, privileged, .. } = self;
        PodContainer { id, name, image_manifest: image.manifest, image_config: image.config, privileged }
    }
}

/// Reads the runtime's answer about the container `id`.
pub(super) fn container(id: &str, reply: ContainerStatusResponse, limits: &Limits) -> Result<ContainerFacts, Refusal> {
    let answer = |problem: String| Refusal::RuntimeAnswer { call: "ContainerStatus", problem };
    let missing = |what: &str| answer(format!("no {what}"));
    let status = reply.status.ok_or_else(|| missing("status"))?;
    require(status.id == id, answer(format!("it is about container {}, asked was {id}", status.id)))?;
    let info = reply.info.get("info").ok_or_else(|| missing("verbose info"))?;
    let info: Info<'_> = serde_json::from_str(info).map_err(|e| answer(e.to_string()))?;
    let spec = info.runtime_spec.get().as_bytes();
    let fits = spec.starts_with(b"{") && spec.len() <= limits.attachment;
    require(fits, answer(format!("runtimeSpec: found {} bytes, wanted an object of at most {}", spec.len(), limits.attachment)))?;
    Ok(ContainerFacts {
        state: status.state(),
        id: status.id,
        name: short(status.metadata.map(|m| m.name), limits).ok_or_else(|| missing("container name"))?,
        pid: info.pid,
        spec: spec.to_vec(),
        privileged: info.is_privileged().ok_or_else(|| missing("word on whether it is privileged"))?,
        sandbox_id: info.sandbox_id,
        image_ref: status.image_ref,
    })
}

/// Reads the runtime's answer about the sandbox `id`.
pub(super) fn sandbox(id: &str, reply: PodSandboxStatusResponse, limits: &Limits) -> Result<Sandbox, Refusal> {
    let answer = |problem: String| Refusal::RuntimeAnswer { call: "PodSandboxStatus", problem };
    let missing = |what: &str| answer(format!("no {what}"));
    let status = reply.status.ok_or_else(|| missing("status"))?;
    require(status.id == id, answer(format!("it is about sandbox {}, asked was {id}", status.id)))?;
    let ready = status.state() == PodSandboxState::SandboxReady;
    let options = status.linux.and_then(|l| l.namespaces).and_then(|n| n.options).ok_or_else(|| missing("namespace options"))?;
    let of_node = |mode: NamespaceMode| mode == NamespaceMode::Node;
    let host_namespaces = HostNamespaces { network: of_node(options.network()), pid: of_node(options.pid()), ipc: of_node(options.ipc()) };
    let pod = status.metadata.ok_or_else(|| missing("metadata"))?;
    Ok(Sandbox {
        id: status.id,
        namespace: short(Some(pod.namespace), limits).ok_or_else(|| missing("pod namespace"))?,
        name: short(Some(pod.name), limits).ok_or_else(|| missing("pod name"))?,
        uid: short(Some(pod.uid), limits).ok_or_else(|| missing("pod UID"))?,
        annotations: status.annotations,
        host_namespaces,
        ready,
    })
}

/// Refuses a pod with more containers than are taken.
pub(super) fn not_too_many(containers: usize) -> Result<(), Refusal> {
    if containers <= MOST_CONTAINERS {
        return Ok(());
    }
    Err(Refusal::RuntimeAnswer {
        call: "ListContainers",
        problem: format!("found {containers} containers, at most {MOST_CONTAINERS} are taken"),
    })
}

/// A name that is there and no longer than names are.
fn short(name: Option<String>, limits: &Limits) -> Option<String> {
    name.filter(|name| (1..=limits.text).contains(&name.len()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::cri::{ContainerMetadata, ContainerStatus, LinuxPodSandboxStatus, Namespace, PodSandboxMetadata, PodSandboxStatus};
    use super::*;
    use podseal_protocol::Limits;

    const LIMITS: Limits = Limits::DEFAULT;

    fn container_reply(id: &str, spec: &str) -> ContainerStatusResponse {
        let info = format!(r#"{{"pid":7,"sandboxID":"s","runtimeSpec":{spec},"privileged":false}}"#);
        let metadata = Some(ContainerMetadata { name: "api".to_owned(), ..Default::default() });
        let status = Some(ContainerStatus { id: id.to_owned(), metadata, ..Default::default() });
        ContainerStatusResponse { status, info: [("info".to_owned(), info)].into() }
    }

    fn sandbox_reply(id: &str) -> PodSandboxStatusResponse {
        let [name, uid, namespace] = ["pod", "uid", "payments"].map(str::to_owned);
        let metadata = Some(PodSandboxMetadata { name, uid, namespace, ..Default::default() });
        let linux = Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options: Some(Default::default()) }) });
        PodSandboxStatusResponse { status: Some(PodSandboxStatus { id: id.to_owned(), metadata, linux, ..Default::default() }) }
    }

    fn problem<T>(result: Result<T, Refusal>) -> String {
        match result {
            Err(Refusal::RuntimeAnswer { problem, .. }) => problem,
            Err(other) => other.to_string(),
            Ok(_) => "taken".to_owned(),
        }
    }

    #[test]
    fn an_answer_about_another_container_or_sandbox_is_not_taken() {
        assert_eq!(problem(container("a", container_reply("a", "{}"), &LIMITS)), "taken");
        assert!(problem(container("a", container_reply("b", "{}"), &LIMITS)).contains("container b, asked was a"));
        assert_eq!(problem(sandbox("a", sandbox_reply("a"), &LIMITS)), "taken");
        assert!(problem(sandbox("a", sandbox_reply("b"), &LIMITS)).contains("sandbox b, asked was a"));
    }

    #[test]
    fn a_spec_that_is_no_object_or_too_long_is_not_taken() {
        assert!(problem(container("a", container_reply("a", "[]"), &LIMITS)).contains("wanted an object"));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LIMITS.attachment));
        assert!(problem(container("a", container_reply("a", &long), &LIMITS)).contains("wanted an object"));
    }
}
