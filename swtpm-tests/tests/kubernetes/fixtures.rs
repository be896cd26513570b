//! What tests share, made when the first one asks.

use std::sync::{OnceLock, RwLock};

use podseal_swtpm_tests::binaries::static_program;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::image::{Image, Stored};
use podseal_swtpm_tests::kubernetes::{Kubernetes, Node};
use podseal_swtpm_tests::sandbox::Scratch;
use podseal_swtpm_tests::site::{Injector, NodeAttester, Site};
use serde_json::{Value, json};

/// The run's cluster. Fields drop in order: nodes before their cluster, processes before their folder.
pub(crate) struct Fixtures {
    /// Held by whoever makes pods; alone, by whoever takes the webhook away.
    pub(crate) patching: RwLock<()>,
    injector: OnceLock<Result<Injector, String>>,
    attester: OnceLock<Result<NodeAttester, String>>,
    site: OnceLock<Result<Site, String>>,
    node: OnceLock<Result<Node, String>>,
    cluster: OnceLock<Result<Kubernetes, String>>,
    ledger: OnceLock<Result<Stored, String>>,
    scratch: Scratch,
}

impl Fixtures {
    pub(crate) fn new() -> Result<Self, BenchError> {
        let (injector, attester, site) = Default::default();
        Ok(Self {
            patching: RwLock::default(),
            injector,
            attester,
            site,
            node: OnceLock::new(),
            cluster: OnceLock::new(),
            ledger: OnceLock::new(),
            scratch: Scratch::new()?,
        })
    }

    /// The cluster that tests share, with its node: each brings its own namespace, and changes nothing else.
    pub(crate) fn cluster(&self) -> Result<&Kubernetes, String> {
        let cluster = once(&self.cluster, || Kubernetes::start(&self.scratch.path().join("k")))?;
        once(&self.node, || cluster.start_node("node-a", &[]))?;
        Ok(cluster)
    }

    /// The cluster's node.
    pub(crate) fn node(&self) -> Result<&Node, String> {
        let cluster = self.cluster()?;
        once(&self.node, || cluster.start_node("node-a", &[]))
    }

    /// The verifier that tests share, with its administrator.
    pub(crate) fn site(&self) -> Result<&Site, String> {
        once(&self.site, || Site::start(&self.scratch.path().join("s")))
    }

    /// The attester of the cluster's node, enrolled at that verifier.
    pub(crate) fn attester(&self) -> Result<&NodeAttester, String> {
        let (site, cluster, node) = (self.site()?, self.cluster()?, self.node()?);
        once(&self.attester, || NodeAttester::start(site, cluster, node))
    }

    /// The webhook of the cluster.
    pub(crate) fn injector(&self) -> Result<&Injector, String> {
        let (site, cluster) = (self.site()?, self.cluster()?);
        once(&self.injector, || Injector::start(site, cluster, &self.scratch.path().join("i")))
    }

    /// On that node: an image with one static program and nothing else, which a container's `args` tell what to do.
    pub(crate) fn ledger(&self) -> Result<&Stored, String> {
        let node = self.node()?;
        once(&self.ledger, || node.runtime().import(&ledger()))
    }
}

pub(crate) fn ledger() -> Image {
    Image::new("podseal.test/ledger", "1").program("/ledger", &static_program("ledger")).entrypoint(&["/ledger"])
}

/// A pod of its own of that template.
pub(crate) fn pod(namespace: &str, name: &str, template: &Value) -> Value {
    let metadata = json!({ "name": name, "namespace": namespace, "labels": template["metadata"]["labels"] });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

/// A pod's template that Pod Security `restricted` admits: one container of the ledger's image, and a folder `/data`.
pub(crate) fn restricted(image: &Stored, args: &[&str]) -> Value {
    json!({
        "metadata": { "labels": { "app": "ledger" } },
        "spec": {
            "securityContext": { "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "ledger",
                "image": image.reference,
                "args": args,
                "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
                "securityContext": {
                    "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                },
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data", "emptyDir": { "medium": "Memory" } }],
        },
    })
}

fn once<T>(cell: &OnceLock<Result<T, String>>, make: impl FnOnce() -> Result<T, BenchError>) -> Result<&T, String> {
    cell.get_or_init(|| make().map_err(|error| error.to_string())).as_ref().map_err(Clone::clone)
}
