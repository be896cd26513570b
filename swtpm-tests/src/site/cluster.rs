//! The cluster: who signs its tokens, and which directories of its nodes are whose.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::admin::Admin;
use crate::error::BenchError;
use crate::issuer::{Alg, Issuer, Object, TokenRequest};

/// A cluster with its own token issuer.
#[derive(Debug)]
pub struct Cluster {
    id: String,
    url: String,
    issuer: Issuer,
    kubelet: PathBuf,
    directories: Mutex<Directories>,
}

#[derive(Debug, Default)]
struct Directories {
    runtime: Vec<String>,
    attester: Vec<String>,
}

impl Cluster {
    /// Starts the issuer of the cluster `id` in `dir`; its tokens' `iss` is `url`.
    pub fn start(dir: &Path, id: &str, url: &str) -> Result<Self, BenchError> {
        let issuer = Issuer::start(dir, url)?;
        Ok(Self { id: id.into(), url: url.into(), issuer, kubelet: dir.join("kubelet"), directories: Mutex::default() })
    }

    /// What policies and attesters call it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The tokens' `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who signs its tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The kubelet's root directory on its nodes, as the verifier is told; not made.
    pub fn kubelet(&self) -> &Path {
        &self.kubelet
    }

    /// Tells the verifier about the cluster, or about more of its directories: `podseal cluster add`.
    pub fn register(&self, admin: &Admin, runtime: &[PathBuf], attester: &[PathBuf]) -> Result<(), BenchError> {
        let mut known = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        known.runtime.extend(runtime.iter().map(|dir| dir.display().to_string()));
        known.attester.extend(attester.iter().map(|dir| dir.display().to_string()));
        let (jwks, kubelet) = (self.issuer.jwks().display().to_string(), self.kubelet.display().to_string());
        let mut words = vec!["cluster", "add", &self.id, "--issuer", &self.url, "--jwks", &jwks, "--kubelet-dir", &kubelet];
        let named = known.runtime.iter().map(|dir| ["--runtime-dir", dir]).chain(known.attester.iter().map(|dir| ["--attester-dir", dir]));
        let named: Vec<&str> = named.flatten().collect();
        words.extend(named);
        admin.podseal(&words).map(drop)
    }

    /// A token such as the API server issues for a pod: ES256, ten minutes, for `audience`.
    pub fn token_for(&self, audience: &str, namespace: &str, service_account: &str, pod: Object, node: Object) -> TokenRequest {
        TokenRequest {
            alg: Alg::ES256,
            kid: None,
            audience: vec![audience.into()],
            age: 0,
            lifetime: 600,
            namespace: namespace.into(),
            service_account: Object::new(service_account, &format!("uid-of-{namespace}-{service_account}")),
            pod,
            node,
            omit: Vec::new(),
        }
    }
}
