//! A certificate authority for software TPMs, new for each run: what it vouches for is known to nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{BenchError, run};
use crate::raw_tpm::Bank;

/// A maker of software TPMs: a root, an issuing key below it, and the TPMs whose EK certificates (NV index 0x1c00002) it signed.
#[derive(Debug)]
pub struct TpmCa {
    dir: PathBuf,
}

impl TpmCa {
    /// Prepares a maker in `dir` (made if missing). swtpm's own tool draws the keys when the first TPM is made.
    pub fn new(dir: impl Into<PathBuf>) -> Result<Self, BenchError> {
        let ca = Self { dir: dir.into() };
        fs::create_dir_all(ca.keys()).map_err(BenchError::io(format!("make {}", ca.dir.display())))?;
        let keys = ca.keys();
        let keys = keys.display();
        let dir = ca.dir.display();
        ca.write(
            "localca.conf",
            &format!(
                "statedir = {keys}\nsigningkey = {keys}/signkey.pem\nissuercert = {keys}/issuercert.pem\ncertserial = {keys}/certserial\n"
            ),
        )?;
        ca.write("localca.options", "--platform-manufacturer Podseal\n--platform-version 1\n--platform-model Bench\n")?;
        ca.write(
            "setup.conf",
            &format!("create_certs_tool = {}\ncreate_certs_tool_config = {dir}/localca.conf\ncreate_certs_tool_options = {dir}/localca.options\n", localca()?),
        )?;
        Ok(ca)
    }

    /// The root's certificate, PEM: what a verifier is configured to trust. There once the first TPM is made.
    pub fn root_pem(&self) -> PathBuf {
        self.keys().join("swtpm-localca-rootca-cert.pem")
    }

    /// The certificate between root and EK certificates, PEM.
    pub fn issuer_pem(&self) -> PathBuf {
        self.keys().join("issuercert.pem")
    }

    /// Makes a TPM with its own seeds, EK and EK certificate, and the given PCR banks: about 0.6 s. `state` becomes the folder of its state.
    pub fn manufacture(&self, name: &str, state: &Path, banks: &[Bank]) -> Result<(), BenchError> {
        fs::create_dir_all(state).map_err(BenchError::io(format!("make {}", state.display())))?;
        let banks: Vec<&str> = banks.iter().map(|bank| bank.name()).collect();
        let mut setup = Command::new("swtpm_setup");
        setup.args(["--tpm2", "--create-ek-cert", "--lock-nvram", "--overwrite", "--vmid", name, "--pcr-banks", &banks.join(",")]);
        setup.arg("--tpmstate").arg(state).arg("--config").arg(self.dir.join("setup.conf"));
        run(&mut setup).map(drop)
    }

    fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    fn write(&self, name: &str, text: &str) -> Result<(), BenchError> {
        let path = self.dir.join(name);
        fs::write(&path, text).map_err(BenchError::io(format!("write {}", path.display())))
    }
}

/// swtpm_setup wants an absolute path to its certificate tool.
fn localca() -> Result<String, BenchError> {
    crate::sandbox::find_program("swtpm_localca")
        .map(|path| path.display().to_string())
        .ok_or_else(|| BenchError::answer("PATH", "no swtpm_localca", "Debian's swtpm-tools: run scripts/setup"))
}
