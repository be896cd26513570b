//! Of a pod (`v1`), what the webhook looks at. Everything else of it stays unread.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refusal;

#[derive(Deserialize)]
pub(super) struct Pod {
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
}

#[derive(Default, Deserialize)]
pub(super) struct Metadata {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
    ephemeral_containers: Option<Vec<Named>>,
    pub(super) volumes: Option<Vec<Value>>,
    #[serde(default, rename = "hostPID")]
    host_pid: Option<bool>,
    #[serde(default, rename = "hostIPC")]
    host_ipc: Option<bool>,
    host_network: Option<bool>,
    share_process_namespace: Option<bool>,
    os: Option<Named>,
    node_selector: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
    pub(super) volume_mounts: Option<Vec<Value>>,
    volume_devices: Option<Vec<Device>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    device_path: String,
}

impl Pod {
    pub(super) fn read(object: Value) -> Result<Self, Refusal> {
        serde_json::from_value(object).map_err(|problem| Refusal::NotAPod { problem: problem.to_string() })
    }
}

impl Metadata {
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.annotations.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl Spec {
    /// Init containers (native sidecars are among them), then containers; each with its JSON pointer within the pod.
    pub(super) fn containers(&self) -> impl Iterator<Item = (String, &Container)> {
        let init = self.init_containers.iter().flatten().enumerate();
        let usual = self.containers.iter().flatten().enumerate();
        init.map(|(at, container)| (format!("/spec/initContainers/{at}"), container))
            .chain(usual.map(|(at, container)| (format!("/spec/containers/{at}"), container)))
    }

    pub(super) fn is_ephemeral(&self, name: &str) -> bool {
        self.ephemeral_containers.iter().flatten().any(|container| container.name == name)
    }

    /// The field that puts the pod into a namespace of others, if there is one.
    pub(super) fn shared_namespace(&self) -> Option<&'static str> {
        let fields = [
            ("hostPID", self.host_pid),
            ("hostIPC", self.host_ipc),
            ("hostNetwork", self.host_network),
            ("shareProcessNamespace", self.share_process_namespace),
        ];
        fields.into_iter().find(|(_, value)| *value == Some(true)).map(|(name, _)| name)
    }

    pub(super) fn is_for_windows(&self) -> bool {
        let selected = self.node_selector.as_ref().and_then(|labels| labels.get("kubernetes.io/os"));
        self.os.as_ref().map(|os| &os.name).into_iter().chain(selected).any(|os| os == "windows")
    }
}

impl Container {
    /// Empty where the image's own Entrypoint runs.
    pub(super) fn command(&self) -> &[String] {
        self.command.as_deref().unwrap_or_default()
    }

    pub(super) fn args(&self) -> &[String] {
        self.args.as_deref().unwrap_or_default()
    }

    pub(super) fn mounts(&self) -> &[Value] {
        self.volume_mounts.as_deref().unwrap_or_default()
    }

    pub(super) fn device_paths(&self) -> impl Iterator<Item = &str> {
        self.volume_devices.iter().flatten().map(|device| device.device_path.as_str())
    }
}
