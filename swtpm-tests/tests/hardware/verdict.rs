//! `podseal report verify`, run on files.

use std::fs;
use std::path::Path;
use std::process::Command;

use podseal_swtpm_tests::binaries::program;
use serde_json::Value;
use tempfile::TempDir;

/// Evidence as files, and the roots that are to be believed.
pub(crate) struct Files {
    evidence: TempDir,
    roots: TempDir,
}

impl Files {
    /// None yet, under this root (PEM).
    pub(crate) fn under(root: &str) -> Self {
        let files = Self { evidence: tempfile::tempdir().unwrap(), roots: tempfile::tempdir().unwrap() };
        fs::write(files.roots.path().join("root.pem"), root).unwrap();
        files
    }

    pub(crate) fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.evidence.path().join(name), bytes).unwrap();
        self
    }

    /// What comes of it where its root is believed.
    pub(crate) fn verify(&self, nonce: &[u8]) -> Value {
        verify(Some(self.roots.path()), self.evidence.path(), nonce)
    }

    /// It is verified under its own root, and rejected under those that ship.
    pub(crate) fn hold(&self, kind: &str, nonce: &[u8]) -> Value {
        let found = self.verify(nonce);
        assert_eq!((&found["verdict"], &found["kind"]), (&"verified".into(), &kind.into()), "{found:#}");
        let shipped = verify(None, self.evidence.path(), nonce);
        assert_eq!((&shipped["verdict"], &shipped["kind"]), (&"rejected".into(), &kind.into()), "{shipped:#}");
        found
    }

    /// It is authentic, and this check of the default policy fails and no other.
    pub(crate) fn refused_for(&self, check: &str, nonce: &[u8]) {
        self.fails("refused", check, nonce);
    }

    /// It is not authentic: the first check that fails is this one.
    pub(crate) fn rejected_for(&self, check: &str, nonce: &[u8]) {
        self.fails("rejected", check, nonce);
    }

    fn fails(&self, verdict: &str, check: &str, nonce: &[u8]) {
        let found = self.verify(nonce);
        let checks = found["checks"].as_array().unwrap();
        let failed = checks.iter().filter(|check| check["verdict"] == "fail").map(|check| &check["name"]).collect::<Vec<_>>();
        assert_eq!((&found["verdict"], failed.first().copied()), (&verdict.into(), Some(&check.into())), "{found:#}");
    }
}

fn verify(roots: Option<&Path>, evidence: &Path, nonce: &[u8]) -> Value {
    let nonce = nonce.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut command = Command::new(program("podseal").unwrap());
    command.args(["report", "verify", "--json", "--nonce", &nonce]);
    if let Some(roots) = roots {
        command.arg("--roots").arg(roots);
    }
    let output = command.arg(evidence).output().unwrap();
    let told = || format!("{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", told()))
}
