//! etcd, API server, controllers and scheduler: a process each, with the flags that a real cluster gives them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::authority::{Authority, Credential};
use super::programs::Programs;
use super::{ADDRESS, ISSUER, SERVICE, SERVICES};
use crate::error::BenchError;
use crate::ports;
use crate::site::Daemon;

/// The running control plane. Fields drop in order: etcd last.
#[derive(Debug)]
pub struct ControlPlane {
    scheduler: Daemon,
    controllers: Daemon,
    api_server: Daemon,
    etcd: Daemon,
    dir: PathBuf,
}

impl ControlPlane {
    /// Starts all of it in `dir` (made new). Whoever needs another waits for it.
    pub(super) fn start(dir: &Path, programs: &Programs, authority: &Authority) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let start = |name: &str, flags: Vec<String>| {
            let command = std::iter::once(programs.path(name)).chain(flags).collect();
            Daemon::start(command, Vec::new(), dir.join(format!("{name}.log")))
        };
        let etcd_url = format!("http://127.0.0.1:{}", ports::free()?);
        let etcd = start("etcd", etcd(dir, &etcd_url)?)?;
        let api_server = start("kube-apiserver", api_server(dir, &etcd_url, authority)?)?;
        let controllers = start("kube-controller-manager", controllers(authority)?)?;
        let scheduler = start("kube-scheduler", scheduler(authority)?)?;
        Ok(Self { scheduler, controllers, api_server, etcd, dir: dir.to_path_buf() })
    }

    /// Waits until `probe` says yes; that the API server ended is an error with its log.
    pub(super) fn ready(&self, what: &str, within: Duration, probe: impl FnMut() -> Result<(), String>) -> Result<(), BenchError> {
        self.api_server.ready_within(what, within, probe)
    }

    /// The API server's record of requests, a JSON line each: with their bodies, except those that carry tokens or Secrets.
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// etcd's files: all that the API server keeps.
    pub fn etcd_data(&self) -> PathBuf {
        self.dir.join("etcd")
    }

    /// The processes' logs, for whoever searches them or shows them.
    pub fn logs(&self) -> [&Path; 4] {
        [&self.etcd, &self.api_server, &self.controllers, &self.scheduler].map(Daemon::log_path)
    }
}

/// Nothing here outlives the cluster: what etcd wrote need not reach a disk.
fn etcd(dir: &Path, url: &str) -> Result<Vec<String>, BenchError> {
    let peers = format!("http://127.0.0.1:{}", ports::free()?);
    Ok(flags(&[
        ("data-dir", &dir.join("etcd").display().to_string()),
        ("listen-client-urls", url),
        ("advertise-client-urls", url),
        ("listen-peer-urls", &peers),
        ("initial-advertise-peer-urls", &peers),
        ("initial-cluster", &format!("default={peers}")),
        ("unsafe-no-fsync", "true"),
        ("log-level", "warn"),
    ]))
}

fn api_server(dir: &Path, etcd: &str, authority: &Authority) -> Result<Vec<String>, BenchError> {
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"];
    let serving = authority.issue("apiserver", "kube-apiserver", None, &[&names[..], &["127.0.0.1", ADDRESS, SERVICE]].concat())?;
    let Credential { certificate, key } =
        authority.issue("kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters"), &[])?;
    let root = authority.file("ca.crt");
    let policy = dir.join("audit-policy.json");
    fs::write(&policy, audit_policy().to_string()).map_err(BenchError::io(format!("write {}", policy.display())))?;
    Ok(flags(&[
        ("etcd-servers", etcd),
        ("bind-address", "0.0.0.0"),
        ("secure-port", "443"),
        ("advertise-address", ADDRESS),
        ("tls-cert-file", &serving.certificate),
        ("tls-private-key-file", &serving.key),
        ("client-ca-file", &root),
        ("kubelet-client-certificate", &certificate),
        ("kubelet-client-key", &key),
        ("kubelet-certificate-authority", &root),
        ("kubelet-preferred-address-types", "InternalIP"),
        ("service-cluster-ip-range", SERVICES),
        ("service-account-issuer", ISSUER),
        ("service-account-key-file", &authority.file("sa.pub")),
        ("service-account-signing-key-file", &authority.file("sa.key")),
        ("authorization-mode", "Node,RBAC"),
        ("anonymous-auth", "false"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("allow-privileged", "true"),
        ("audit-policy-file", &policy.display().to_string()),
        ("audit-log-path", &dir.join("audit.log").display().to_string()),
    ]))
}

/// As much as an operator would ever have recorded. Bodies of leases and of the API server's own routine are noise.
fn audit_policy() -> serde_json::Value {
    let carries_secrets = [
        json!({ "group": "", "resources": ["secrets", "serviceaccounts/token"] }),
        json!({ "group": "authentication.k8s.io", "resources": ["tokenreviews"] }),
    ];
    let with_bodies =
        ["", "apps", "batch", "admissionregistration.k8s.io", "storage.k8s.io", "policy"].map(|group| json!({ "group": group }));
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            { "level": "None", "resources": [{ "group": "coordination.k8s.io" }] },
            { "level": "Metadata", "resources": carries_secrets },
            { "level": "RequestResponse", "verbs": ["create", "update", "patch", "delete"], "resources": with_bodies },
            { "level": "Metadata" },
        ],
    })
}

fn controllers(authority: &Authority) -> Result<Vec<String>, BenchError> {
    let config = authority.kubeconfig("controllers", "system:kube-controller-manager", None)?;
    let root = authority.file("ca.crt");
    Ok(flags(&[
        ("kubeconfig", &config),
        ("root-ca-file", &root),
        ("service-account-private-key-file", &authority.file("sa.key")),
        ("cluster-signing-cert-file", &root),
        ("cluster-signing-key-file", &authority.file("ca.key")),
        ("use-service-account-credentials", "true"),
        ("leader-elect", "false"),
        ("secure-port", "0"),
    ]))
}

fn scheduler(authority: &Authority) -> Result<Vec<String>, BenchError> {
    let config = authority.kubeconfig("scheduler", "system:kube-scheduler", None)?;
    Ok(flags(&[("kubeconfig", &config), ("leader-elect", "false"), ("secure-port", "0")]))
}

/// `--NAME=VALUE` each.
pub(super) fn flags(named: &[(&str, &str)]) -> Vec<String> {
    named.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
