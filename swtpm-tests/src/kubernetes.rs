//! A Kubernetes cluster of its own: etcd, API server, controllers and scheduler as released, and nodes with a kubelet each.
//!
//! `scripts/kubernetes` builds the programs. The cluster lives in the bench's namespaces ([`crate::sandbox`]) and ends with them: it has its own addresses
//! there, on the loopback device, and sees stand-ins for the few places of the machine that a kubelet writes to ([`machine`]).
//!
//! What it has not is a name server: Services are reached by their addresses. Images are imported into a node's runtime, never pulled.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::error::{BenchError, wait_for};
use crate::site::Daemon;

mod authority;
mod control_plane;
pub mod kubectl;
mod kubelet;
mod machine;
pub mod node;
pub mod programs;
mod services;
pub mod token;

use authority::Authority;
use control_plane::ControlPlane;
pub use kubectl::Kubectl;
pub use node::Node;
use programs::Programs;

/// `iss` of the cluster's tokens: as kubeadm has it.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Where the control plane listens.
pub const ADDRESS: &str = "10.89.0.1";
/// The Service `kubernetes`: the API server, as pods reach it.
const SERVICE: &str = "10.96.0.1";
const SERVICES: &str = "10.96.0.0/16";
/// Nodes' own addresses and their pods' subnets are numbered alike, from here on; subnets below are other fixtures'.
const FIRST_NODE: u8 = 200;

/// On two busy processors the API server takes ten seconds; a kubelet as long.
const LONGEST_START: Duration = Duration::from_secs(120);

/// A running cluster. Fields drop in order: nodes end before this, and their folders lie below its own.
#[derive(Debug)]
pub struct Kubernetes {
    services: OnceLock<Daemon>,
    control_plane: ControlPlane,
    authority: Authority,
    programs: Programs,
    kubectl: Kubectl,
    nodes: AtomicU8,
    dir: PathBuf,
}

impl Kubernetes {
    /// Starts a cluster without nodes in `dir` (made new; keep the path short). One in a process: it has fixed addresses.
    ///
    /// # Errors
    /// Also outside of the sandbox, where it would change the machine.
    pub fn start(dir: &Path) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let programs = Programs::find()?;
        machine::cover(&dir.join("machine"), ADDRESS, SERVICES)?;
        let authority = Authority::new(&dir.join("pki"))?;
        let control_plane = ControlPlane::start(&dir.join("cp"), &programs, &authority)?;
        let kubectl =
            Kubectl::new(&dir.join("kubectl"), &programs, &authority.kubeconfig("admin", "podseal-admin", Some("system:masters"))?)?;
        control_plane.ready("the API server is ready", LONGEST_START, || {
            kubectl.run(&["get", "--raw", "/readyz"]).map(drop).map_err(|error| error.to_string())
        })?;
        Ok(Self { services: OnceLock::new(), control_plane, authority, programs, kubectl, nodes: AtomicU8::new(0), dir: dir.to_path_buf() })
    }

    /// Starts a node, and waits until the API server has it as ready. It registers with the taints of these keys (effect `NoSchedule`): pods come there
    /// that tolerate them, or name it in `spec.nodeName`.
    pub fn start_node(&self, name: &str, taints: &[&str]) -> Result<Node, BenchError> {
        let number = FIRST_NODE + self.nodes.fetch_add(1, Ordering::Relaxed);
        let node = Node::start(&self.dir.join(name), name, number, taints, &self.programs, &self.authority)?;
        self.ready(&node)?;
        if number == FIRST_NODE {
            self.start_services(name)?;
        }
        Ok(node)
    }

    fn start_services(&self, node: &str) -> Result<(), BenchError> {
        let proxy = services::start(&self.dir.join("proxy"), node, &self.programs, &self.authority)?;
        proxy.ready_within("the API server is reached as a Service", LONGEST_START, || {
            let ready = ["--server", &format!("https://{SERVICE}"), "--request-timeout=5s", "get", "--raw", "/readyz"];
            self.kubectl.run(&ready).map(drop).map_err(|error| error.to_string())
        })?;
        self.services.set(proxy).map_err(|_| BenchError::answer("the cluster", "two first nodes", "one"))
    }

    /// Waits until the API server has the node as ready.
    pub fn ready(&self, node: &Node) -> Result<(), BenchError> {
        node.kubelet().ready_within("the kubelet's node is ready", LONGEST_START, || {
            let ready = ["wait", "--for=condition=Ready", "--timeout=5s", &format!("node/{}", node.name())];
            self.kubectl.run(&ready).map(drop).map_err(|error| error.to_string())
        })
    }

    /// The administrator's kubectl.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// etcd, API server, controllers and scheduler.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// A namespace with Pod Security `level` enforced (`restricted`, `baseline`, `privileged`), once it has its default service account.
    pub fn namespace(&self, name: &str, level: &str) -> Result<(), BenchError> {
        let labels =
            serde_json::json!({ "pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/enforce-version": "latest" });
        self.kubectl
            .apply(&serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }))?;
        wait_for("the namespace has its service account", LONGEST_START, || {
            self.kubectl.run(&["get", "-n", name, "serviceaccount/default"]).map(drop).map_err(|error| error.to_string())
        })
    }
}
