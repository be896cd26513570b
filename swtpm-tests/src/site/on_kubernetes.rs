//! The shipped attester on a node of a Kubernetes cluster, and what that cluster has to have of us.

use std::fs;
use std::path::{Path, PathBuf};

use podseal_protocol::Digest;
use rustix::process::Signal;

use super::daemon::Daemon;
use super::machine::{Machine, Surroundings};
use super::node::{enrol, publish, write_config};
use super::{NodeOptions, Site};
use crate::binaries::program;
use crate::error::{BenchError, wait_for};
use crate::kubernetes::{ISSUER, Kubernetes, Node};

/// What policies and attesters call the cluster.
pub const CLUSTER: &str = "kubernetes";
/// The CSIDriver object, as operators apply it.
const DRIVER: &str = include_str!("../../../deploy/csidriver.yaml");
/// Where tokens are: the sandbox's `/run` is in memory.
const TOKENS: &str = "/run/podseal-csi";

/// A running attester; the kubelet has its driver.
#[derive(Debug)]
pub struct NodeAttester {
    daemon: Daemon,
    machine: Machine,
    launcher: Digest,
}

impl NodeAttester {
    /// Makes the cluster known to the site's verifier, enrols the node with a join token, and starts its attester.
    pub fn start(site: &Site, cluster: &Kubernetes, node: &Node) -> Result<Self, BenchError> {
        let (dir, _) = site.node_folder();
        let kubectl = cluster.kubectl();
        let uid = kubectl.run(&["get", "node", node.name(), "--output", "jsonpath={.metadata.uid}"])?;
        let machine = Machine::boot(site, &dir, node.name(), &uid, site.boot(), false)?;
        let published = dir.join("pub");
        let launcher = publish(&published, None)?;
        register(site, cluster, node, &published)?;
        let more = format!("\n[csi]\nkubelet = \"{}\"\ndirectory = \"{TOKENS}\"\n", node.kubelet_dir().display());
        let options = NodeOptions { config: more, ..NodeOptions::new(site, node.name()) };
        let around = Surroundings { cluster: CLUSTER.into(), ..site.surroundings(&options, node.runtime().socket(), published) };
        let config = write_config(&machine, &around)?;
        enrol(site, CLUSTER, &machine, &config)?;
        let words =
            [program("podseal-node-attester")?.display().to_string(), "run".into(), "--config".into(), config.display().to_string()];
        let daemon = Daemon::start(words.into(), Vec::new(), dir.join("attester.log"))?;
        let attester = Self { daemon, machine, launcher };
        kubectl.apply_text(&DRIVER.replace("VERIFIER-ID", site.verifier().id()))?;
        attester.is_registered(cluster)?;
        Ok(attester)
    }

    /// Kills it, does `meanwhile`, and starts it again.
    pub fn restart_while<T>(&self, meanwhile: impl FnOnce() -> T) -> Result<T, BenchError> {
        self.daemon.end_by(Signal::KILL, meanwhile).map(|(_, done)| done)
    }

    /// Its process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The machine below.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Digest of its launcher.
    pub fn launcher(&self) -> Digest {
        self.launcher
    }

    /// Where the pods' tokens are.
    pub fn tokens(&self) -> PathBuf {
        TOKENS.into()
    }

    /// Waits until the kubelet says that it has the driver.
    fn is_registered(&self, cluster: &Kubernetes) -> Result<(), BenchError> {
        let named = ["get", "csinode", self.machine.name(), "--output", "jsonpath={.spec.drivers[*].name}"];
        wait_for("the kubelet has the driver", std::time::Duration::from_secs(60), || match cluster.kubectl().run(&named) {
            Ok(drivers) if drivers.split(' ').any(|driver| driver == "podseal.dev") => Ok(()),
            Ok(drivers) => Err(format!("drivers {drivers:?}\n{}", self.daemon.log())),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// `podseal cluster add`, with the keys that the API server publishes.
fn register(site: &Site, cluster: &Kubernetes, node: &Node, published: &Path) -> Result<(), BenchError> {
    let jwks = published.with_file_name("jwks.json");
    let keys = cluster.kubectl().run(&["get", "--raw", "/openid/v1/jwks"])?;
    fs::write(&jwks, keys).map_err(BenchError::io("write the cluster's keys"))?;
    let runtime = node.runtime().dir();
    let [jwks, kubelet, root, state, attester] =
        [&jwks, node.kubelet_dir(), &runtime.join("root"), &runtime.join("state"), published].map(|path| path.display().to_string());
    let words = ["cluster", "add", CLUSTER, "--issuer", ISSUER, "--jwks", &jwks, "--kubelet-dir", &kubelet];
    let directories = ["--runtime-dir", &root, "--runtime-dir", &state, "--attester-dir", &attester];
    site.admin().podseal(&[&words[..], &directories].concat()).map(drop)
}
