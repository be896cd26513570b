//! The shipped webhook, as a cluster's API server calls it.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::Site;
use super::daemon::Daemon;
use crate::binaries::program;
use crate::error::{BenchError, run};
use crate::kubernetes::{ADDRESS, Kubernetes};
use crate::ports;

/// The webhook's configuration, as operators apply it.
const WEBHOOK: &str = include_str!("../../../deploy/webhook.yaml");
const NAMESPACE: &str = "podseal-system";
const SERVICE: &str = "podseal-injector";

/// A running webhook.
#[derive(Debug)]
pub struct Injector {
    daemon: Daemon,
}

impl Injector {
    /// Makes its certificate, starts it in `dir` (made new) on the control plane's machine, and has the API server call it.
    pub fn start(site: &Site, cluster: &Kubernetes, dir: &Path) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let injector = program("podseal-injector")?;
        let tls = dir.join("tls");
        let issue = ["certificate", "--service", SERVICE, "--namespace", NAMESPACE, "--out"];
        let told = run(Command::new(&injector).args(issue).arg(&tls))?;
        let bundle = told.lines().find_map(|line| line.strip_prefix("caBundle ")).unwrap_or_default().trim().to_owned();
        let (port, config) = (ports::free()?, dir.join("injector.toml"));
        let text = format!(
            "listen = \"{ADDRESS}:{port}\"\n\n[verifier]\nid = \"{}\"\n\n[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            site.verifier().id(),
            tls.join("tls.crt").display(),
            tls.join("tls.key").display()
        );
        fs::write(&config, text).map_err(BenchError::io("write injector.toml"))?;
        let words = [injector.display().to_string(), "run".into(), "--config".into(), config.display().to_string()];
        let daemon = Daemon::start(words.into(), Vec::new(), dir.join("injector.log"))?;
        daemon.ready("the webhook listens", || TcpStream::connect((ADDRESS, port)).map(drop).map_err(|error| error.to_string()))?;
        let kubectl = cluster.kubectl();
        kubectl.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }))?;
        let metadata = json!({ "name": SERVICE, "namespace": NAMESPACE });
        let service = json!({ "ports": [{ "name": "https", "port": 443, "targetPort": port }] });
        kubectl.apply(&json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service }))?;
        // It is no pod: the Service leads to the machine.
        kubectl.apply(&json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": { "kubernetes.io/service-name": SERVICE } },
            "addressType": "IPv4",
            "ports": [{ "name": "https", "port": port, "protocol": "TCP" }],
            "endpoints": [{ "addresses": [ADDRESS], "conditions": { "ready": true } }],
        }))?;
        kubectl.apply_text(&WEBHOOK.replace("CA-BUNDLE", &bundle))?;
        Ok(Self { daemon })
    }

    /// Its process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Kills it, does `meanwhile`, and starts it again.
    pub fn away_while<T>(&self, meanwhile: impl FnOnce() -> T) -> Result<T, BenchError> {
        self.daemon.end_by(rustix::process::Signal::KILL, meanwhile).map(|(_, done)| done)
    }
}
