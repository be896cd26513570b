//! Pods as a kubelet makes them: builders that keep a test to what it is about.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::containerd::Containerd;
use crate::cri::messages as m;
use crate::cri::messages::NamespaceMode;
use crate::error::BenchError;
use crate::{cgroups, sandbox};

mod container;
mod log;

pub use container::{Container, RunningContainer};

/// A pod to be run.
#[derive(Clone, Debug)]
pub struct Pod {
    namespace: String,
    name: String,
    uid: Option<String>,
    annotations: HashMap<String, String>,
    pid: NamespaceMode,
    network: NamespaceMode,
    ipc: NamespaceMode,
    privileged: bool,
}

impl Pod {
    /// A pod with a fresh uid, its own network, and a PID namespace for each container, as Kubernetes has it by default.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            uid: None,
            annotations: HashMap::new(),
            pid: NamespaceMode::Container,
            network: NamespaceMode::Pod,
            ipc: NamespaceMode::Pod,
            privileged: false,
        }
    }

    /// Gives the pod a certain uid.
    #[must_use]
    pub fn uid(mut self, uid: &str) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// Adds an annotation to the pod, such as `podseal.dev/secrets`.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// `shareProcessNamespace: true`.
    #[must_use]
    pub fn share_pid(mut self) -> Self {
        self.pid = NamespaceMode::Pod;
        self
    }

    /// `hostPID: true`.
    #[must_use]
    pub fn host_pid(mut self) -> Self {
        self.pid = NamespaceMode::Node;
        self
    }

    /// `hostNetwork: true`.
    #[must_use]
    pub fn host_network(mut self) -> Self {
        self.network = NamespaceMode::Node;
        self
    }

    /// `hostIPC: true`.
    #[must_use]
    pub fn host_ipc(mut self) -> Self {
        self.ipc = NamespaceMode::Node;
        self
    }

    /// Lets the pod have privileged containers.
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Runs the pod's sandbox on a node. The pod ends with the value.
    pub fn run(self, node: &Containerd) -> Result<RunningPod<'_>, BenchError> {
        let uid = self.uid.clone().map_or_else(random_uid, Ok)?;
        let logs = node.dir().join("logs").join(format!("{}_{}_{uid}", self.namespace, self.name));
        fs::create_dir_all(&logs).map_err(BenchError::io(format!("make {}", logs.display())))?;
        let config = self.config(&uid, &logs, format!("{}/pod{uid}", node.cgroup_parent()));
        let id = node.cri().run_pod_sandbox(config.clone())?;
        Ok(RunningPod { node, id, uid, logs, config })
    }

    fn config(self, uid: &str, logs: &Path, cgroup_parent: String) -> m::PodSandboxConfig {
        let namespaces =
            m::NamespaceOption { network: self.network.into(), pid: self.pid.into(), ipc: self.ipc.into(), target_id: String::new() };
        let own_hostname = self.network != NamespaceMode::Node;
        m::PodSandboxConfig {
            hostname: if own_hostname { self.name.clone() } else { String::new() },
            log_directory: logs.display().to_string(),
            labels: pod_labels(&self.name, &self.namespace, uid),
            annotations: self.annotations,
            linux: Some(m::LinuxPodSandboxConfig {
                cgroup_parent,
                security_context: Some(m::LinuxSandboxSecurityContext { namespace_options: Some(namespaces), privileged: self.privileged }),
            }),
            metadata: Some(m::PodSandboxMetadata { name: self.name, uid: uid.into(), namespace: self.namespace, attempt: 0 }),
        }
    }
}

/// The labels by which kubelets mark what belongs to a pod.
fn pod_labels(name: &str, namespace: &str, uid: &str) -> HashMap<String, String> {
    [("name", name), ("namespace", namespace), ("uid", uid)].map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.into())).into()
}

/// A pod's sandbox on a node; stopped and removed, with its containers, when the value goes.
#[derive(Debug)]
pub struct RunningPod<'node> {
    node: &'node Containerd,
    id: String,
    uid: String,
    logs: PathBuf,
    config: m::PodSandboxConfig,
}

impl<'node> RunningPod<'node> {
    /// The sandbox's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pod's uid.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The node that it runs on.
    pub fn node(&self) -> &'node Containerd {
        self.node
    }

    /// Creates a container and starts it.
    pub fn start(&self, container: Container) -> Result<RunningContainer<'node>, BenchError> {
        let created = self.create(container)?;
        created.start()?;
        Ok(created)
    }

    /// Creates a container without starting it.
    pub fn create(&self, container: Container) -> Result<RunningContainer<'node>, BenchError> {
        let config = container.config(&self.config);
        let log = self.logs.join(&config.log_path);
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
        }
        let id = self.node.cri().create_container(&self.id, config, self.config.clone())?;
        Ok(RunningContainer::new(self.node, id, log))
    }
}

impl Drop for RunningPod<'_> {
    fn drop(&mut self) {
        let _swept_with_the_node = self.node.cri().stop_pod_sandbox(&self.id).and_then(|()| self.node.cri().remove_pod_sandbox(&self.id));
        if let Some(linux) = &self.config.linux {
            cgroups::sweep_below(&linux.cgroup_parent);
        }
    }
}

/// A version 4 UUID (RFC 9562), as the API server gives to objects.
fn random_uid() -> Result<String, BenchError> {
    let hex = sandbox::random_name()? + &sandbox::random_name()? + &sandbox::random_name()?;
    Ok(format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30]))
}
