//! Where the cluster's programs are.

use std::path::PathBuf;
use std::process::Command;

use crate::binaries::repository;
use crate::error::{BenchError, run};

const NEEDED: [&str; 7] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];

/// The programs that `scripts/kubernetes` built.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds them.
    ///
    /// # Errors
    /// One is missing: says which, and how it is built.
    pub fn find() -> Result<Self, BenchError> {
        let folder = PathBuf::from(run(Command::new(repository().join("scripts/kubernetes")).arg("--folder"))?.trim());
        match NEEDED.iter().find(|name| !folder.join(name).is_file()) {
            None => Ok(Self { folder }),
            Some(name) => {
                Err(BenchError::answer(folder.display().to_string(), format!("no {name}"), "Kubernetes: build it with scripts/kubernetes"))
            }
        }
    }

    /// A program's path.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// Why there is no cluster here, if so, with the remedy.
pub fn obstacle() -> Option<String> {
    Programs::find().err().map(|error| error.to_string())
}
