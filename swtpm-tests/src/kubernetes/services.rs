//! Services: kube-proxy, which writes the packet filter's rules. One serves the whole cluster, whose nodes share the sandbox's network namespace.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::authority::Authority;
use super::control_plane::flags;
use super::programs::Programs;
use crate::error::BenchError;
use crate::site::Daemon;

/// Starts it for the cluster's first node, with its files in `dir` (made new).
pub(super) fn start(dir: &Path, node: &str, programs: &Programs, authority: &Authority) -> Result<Daemon, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": authority.kubeconfig("proxy", "system:kube-proxy", None)? },
        "hostnameOverride": node,
        "mode": "iptables",
        "clusterCIDR": "10.88.0.0/16",
        "iptables": { "localhostNodePorts": false },
        // Settings of the whole machine, left as they are.
        "conntrack": { "maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    });
    let file = dir.join("config.json");
    fs::write(&file, config.to_string()).map_err(BenchError::io(format!("write {}", file.display())))?;
    let command = std::iter::once(programs.path("kube-proxy")).chain(flags(&[("config", &file.display().to_string())])).collect();
    Daemon::start(command, Vec::new(), dir.join("kube-proxy.log"))
}
