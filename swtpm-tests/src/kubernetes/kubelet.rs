//! A node's kubelet: its configuration, and its process.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::authority::Authority;
use super::control_plane::flags;
use super::machine;
use super::programs::Programs;
use crate::containerd::Containerd;
use crate::error::BenchError;
use crate::site::Daemon;
use crate::{cgroups, ports};

/// What a kubelet is told.
#[derive(Debug)]
pub(super) struct Kubelet<'node> {
    /// Its root directory, made new.
    pub(super) dir: &'node Path,
    /// The node's name.
    pub(super) name: &'node str,
    /// Where the node is reached.
    pub(super) address: &'node str,
    /// Keys of taints with which the node registers.
    pub(super) taints: &'node [&'node str],
    /// Where its pods run.
    pub(super) runtime: &'node Containerd,
}

/// Starts it.
pub(super) fn start(told: &Kubelet<'_>, programs: &Programs, authority: &Authority) -> Result<Daemon, BenchError> {
    let Kubelet { dir, name, address, runtime, .. } = *told;
    machine::share(dir)?;
    cgroups::make(runtime.cgroup_parent())?;
    let user = format!("system:node:{name}");
    let kubeconfig = authority.kubeconfig(&format!("kubelet-{name}"), &user, Some("system:nodes"))?;
    let serving = authority.issue(&format!("kubelet-{name}-serving"), &user, Some("system:nodes"), &[name, address])?;
    let manifests = dir.join("manifests");
    fs::create_dir_all(&manifests).map_err(BenchError::io(format!("make {}", manifests.display())))?;
    let mut config = config(told)?;
    config["tlsCertFile"] = json!(serving.certificate);
    config["tlsPrivateKeyFile"] = json!(serving.key);
    config["authentication"]["x509"] = json!({ "clientCAFile": authority.file("ca.crt") });
    let file = dir.join("config.json");
    fs::write(&file, config.to_string()).map_err(BenchError::io(format!("write {}", file.display())))?;
    let command = flags(&[
        ("config", &file.display().to_string()),
        ("kubeconfig", &kubeconfig),
        ("root-dir", &dir.display().to_string()),
        ("cert-dir", &dir.join("pki").display().to_string()),
        ("hostname-override", name),
        ("node-ip", address),
        ("v", "2"),
    ]);
    let command = std::iter::once(programs.path("kubelet")).chain(command).collect();
    Daemon::start(command, Vec::new(), runtime.dir().join("kubelet.log"))
}

/// Nothing is evicted and no image collected: a bench's files lie in memory, and its images cannot be pulled again.
fn config(told: &Kubelet<'_>) -> Result<Value, BenchError> {
    let Kubelet { dir, address, runtime, taints, .. } = *told;
    let taints: Vec<Value> = taints.iter().map(|key| json!({ "key": key, "effect": "NoSchedule" })).collect();
    let never = ["memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"];
    let never: serde_json::Map<_, _> = never.iter().map(|signal| ((*signal).to_owned(), json!("0%"))).collect();
    Ok(json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "port": ports::free()?,
        "healthzPort": 0,
        "authentication": { "anonymous": { "enabled": false }, "webhook": { "enabled": true } },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": format!("unix://{}", runtime.socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": runtime.cgroup_parent(),
        "failCgroupV1": false,
        "failSwapOn": false,
        "protectKernelDefaults": true,
        "makeIPTablesUtilChains": false,
        "resolvConf": "",
        "podLogsDir": runtime.dir().join("logs"),
        "staticPodPath": dir.join("manifests"),
        "volumePluginDir": dir.join("volume-plugins"),
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        "eventRecordQPS": 0,
        "nodeStatusUpdateFrequency": "5s",
        "registerWithTaints": taints,
    }))
}
