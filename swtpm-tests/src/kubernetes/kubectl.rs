//! What an administrator does with kubectl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::programs::Programs;
use crate::error::{BenchError, run};

/// kubectl with somebody's kubeconfig.
#[derive(Debug)]
pub struct Kubectl {
    program: String,
    config: String,
    dir: PathBuf,
    manifests: AtomicU32,
}

impl Kubectl {
    /// For who the kubeconfig file `config` says; `dir` (made new) keeps manifests and the cache.
    pub(super) fn new(dir: &Path, programs: &Programs, config: &str) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        Ok(Self { program: programs.path("kubectl"), config: config.into(), dir: dir.into(), manifests: AtomicU32::new(0) })
    }

    /// `kubectl WORDS…`: its standard output.
    pub fn run(&self, words: &[&str]) -> Result<String, BenchError> {
        let mut kubectl = Command::new(&self.program);
        kubectl.args(["--kubeconfig", &self.config, "--cache-dir"]).arg(self.dir.join("cache"));
        run(kubectl.args(words))
    }

    /// `kubectl WORDS… --output json`.
    pub fn json(&self, words: &[&str]) -> Result<Value, BenchError> {
        let text = self.run(&[words, &["--output", "json"]].concat())?;
        serde_json::from_str(&text)
            .map_err(|error| BenchError::answer(format!("kubectl {}", words.join(" ")), format!("{text}: {error}"), "JSON"))
    }

    /// `kubectl apply --filename` with a manifest.
    pub fn apply(&self, manifest: &Value) -> Result<(), BenchError> {
        self.apply_text(&manifest.to_string())
    }

    /// The same with the text of a manifest.
    pub fn apply_text(&self, manifest: &str) -> Result<(), BenchError> {
        self.run(&["apply", "--filename", &self.file(manifest)?]).map(drop)
    }

    /// `kubectl create --filename` with an object that answers, such as a TokenReview.
    pub fn create(&self, object: &Value) -> Result<Value, BenchError> {
        self.json(&["create", "--filename", &self.file(&object.to_string())?])
    }

    /// Waits until an object of a namespace is in a condition: `kubectl wait --for`. Where it does not come about, the error says what the namespace has.
    pub fn wait(&self, namespace: &str, object: &str, condition: &str, seconds: u32) -> Result<(), BenchError> {
        let timeout = format!("--timeout={seconds}s");
        self.run(&["wait", "--namespace", namespace, "--for", condition, &timeout, object]).map(drop).map_err(|error| {
            let told = [&["describe", "pods"][..], &["get", "events"]]
                .map(|words| self.run(&[words, &["--namespace", namespace]].concat()).unwrap_or_else(|error| error.to_string()));
            BenchError::answer(object, format!("not {condition}: {error}\n{}", told.join("\n")), "that condition")
        })
    }

    fn file(&self, manifest: &str) -> Result<String, BenchError> {
        let file = self.dir.join(format!("{}.yaml", self.manifests.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, manifest).map_err(BenchError::io(format!("write {}", file.display())))?;
        Ok(file.display().to_string())
    }
}
