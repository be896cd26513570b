//! The pod's containers, as the runtime lists them: an attachment that a leaf names by digest.

use crate::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

const DOMAIN: &str = "podseal.podset.v1";

/// Most containers in one pod that are taken.
const MOST_CONTAINERS: usize = 256;

/// One container of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodContainer {
    /// The runtime's id.
    pub id: String,
    /// Name within the pod.
    pub name: String,
    /// Digest of the image's manifest.
    pub image_manifest: Digest,
    /// Digest of the image's configuration.
    pub image_config: Digest,
    /// Runs privileged.
    pub privileged: bool,
}

/// Which of the node's namespaces the pod's sandbox runs in (CRI `PodSandboxStatus.linux.namespaces.options`, mode `NODE`).
///
/// Only the sandbox tells: the runtime spec of a container names `/proc/SANDBOX/ns/net` whether that is the pod's own or the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostNamespaces {
    /// The node's network.
    pub network: bool,
    /// The node's processes.
    pub pid: bool,
    /// The node's System V and POSIX IPC.
    pub ipc: bool,
}

/// The namespaces of a pod's sandbox, and all its containers that are created or running, sorted by id, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSet {
    host: HostNamespaces,
    containers: Vec<PodContainer>,
}

impl PodSet {
    /// Sorts by id; the runtime never lists one id twice, and where it did only the first would be kept.
    #[must_use]
    pub fn new(host: HostNamespaces, mut containers: Vec<PodContainer>) -> Self {
        containers.sort_by(|a, b| a.id.cmp(&b.id));
        containers.dedup_by(|a, b| a.id == b.id);
        Self { host, containers }
    }

    /// Which of the node's namespaces the sandbox runs in.
    #[must_use]
    pub fn host_namespaces(&self) -> HostNamespaces {
        self.host
    }

    /// The containers, sorted by id.
    #[must_use]
    pub fn containers(&self) -> &[PodContainer] {
        &self.containers
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DOMAIN, 3)
            .array(3)
            .uint(u64::from(self.host.network))
            .uint(u64::from(self.host.pid))
            .uint(u64::from(self.host.ipc))
            .list(&self.containers, |e, c| {
                e.array(5).text(&c.id).text(&c.name).digest(&c.image_manifest).digest(&c.image_config).uint(u64::from(c.privileged))
            })
            .finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a pod set in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 3, limits)?;
        d.array("podset.host", 3)?;
        let host = HostNamespaces {
            network: d.uint_up_to("podset.host.network", 1)? == 1,
            pid: d.uint_up_to("podset.host.pid", 1)? == 1,
            ipc: d.uint_up_to("podset.host.ipc", 1)? == 1,
        };
        let at = d.offset();
        let containers = d.list("podset.containers", MOST_CONTAINERS, |d| {
            d.array("podset.container", 5)?;
            Ok(PodContainer {
                id: d.text("podset.container.id", limits.text)?.to_owned(),
                name: d.text("podset.container.name", limits.text)?.to_owned(),
                image_manifest: d.digest("podset.container.image_manifest")?,
                image_config: d.digest("podset.container.image_config")?,
                privileged: d.uint_up_to("podset.container.privileged", 1)? == 1,
            })
        })?;
        d.end("podset")?;
        let sorted = containers.is_sorted_by(|a, b| a.id < b.id);
        if sorted { Ok(Self { host, containers }) } else { Err(Malformed { item: "podset.containers", at, problem: Problem::NotSorted }) }
    }
}
