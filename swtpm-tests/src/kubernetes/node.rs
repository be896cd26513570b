//! A node of the cluster: a container runtime and a kubelet.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::authority::Authority;
use super::kubelet::{self, Kubelet};
use super::machine;
use super::programs::Programs;
use crate::binaries::static_program;
use crate::containerd::Containerd;
use crate::error::BenchError;
use crate::site::Daemon;

/// A running node. Fields drop in order: the kubelet first, or it would start again what the runtime ends.
#[derive(Debug)]
pub struct Node {
    kubelet: Daemon,
    runtime: Containerd,
    kubelet_dir: PathBuf,
    name: String,
}

impl Node {
    /// Starts runtime and kubelet, with everything in `dir` (made new). `number`, which no other node has, tells its address and its pods'.
    pub(super) fn start(
        dir: &Path,
        name: &str,
        number: u8,
        taints: &[&str],
        programs: &Programs,
        authority: &Authority,
    ) -> Result<Self, BenchError> {
        let address = format!("10.89.0.{number}");
        machine::add_address(&address)?;
        let runtime = Containerd::start(dir, name, number, &static_program("pause"))?;
        let kubelet_dir = dir.join("kubelet");
        let kubelet =
            kubelet::start(&Kubelet { dir: &kubelet_dir, name, address: &address, taints, runtime: &runtime }, programs, authority)?;
        Ok(Self { kubelet, runtime, kubelet_dir, name: name.to_owned() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kubelet, to be watched or killed.
    pub fn kubelet(&self) -> &Daemon {
        &self.kubelet
    }

    /// Kills the kubelet, does `meanwhile`, and starts it again; its pods run on.
    pub fn restart_kubelet_while<T>(&self, meanwhile: impl FnOnce() -> T) -> Result<T, BenchError> {
        self.kubelet.end_by(Signal::KILL, meanwhile).map(|(_, done)| done)
    }

    /// The kubelet's root directory, in place of `/var/lib/kubelet`: `pods`, `plugins`, `plugins_registry`; `manifests` has its static pods.
    pub fn kubelet_dir(&self) -> &Path {
        &self.kubelet_dir
    }

    /// Its container runtime, into which images are imported.
    pub fn runtime(&self) -> &Containerd {
        &self.runtime
    }
}
