//! A running software TPM.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::children;
use crate::error::{BenchError, wait_for};
use crate::ports::{neighbours, port_of};
use crate::raw_tpm::{Bank, RawTpm};

/// A `swtpm` process on a state folder; it ends with the value.
#[derive(Debug)]
pub struct Swtpm {
    state: PathBuf,
    port: u16,
    process: Child,
}

impl Swtpm {
    /// Powers the TPM in `state` on at free ports, and returns when it answers.
    pub fn start(state: &Path) -> Result<Self, BenchError> {
        let (commands, _control) = neighbours()?;
        let port = port_of(&commands)?;
        drop((commands, _control));
        let process = power_on(state, port)?;
        let tpm = Self { state: state.to_path_buf(), port, process };
        tpm.ready()?;
        Ok(tpm)
    }

    /// The command port; the control port is the next one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, for a playground's list of what runs.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The folder with its state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// How a TPM software stack names this TPM.
    pub fn tcti(&self) -> String {
        tcti(self.port)
    }

    /// A connection for the bench. The attester must not be connected meanwhile.
    pub fn client(&self) -> Result<RawTpm, BenchError> {
        RawTpm::connect(self.port)
    }

    /// A machine's reboot: shut down, power off, power on. PCRs start anew, resetCount grows by one, ports stay.
    ///
    /// When another client holds the TPM there is no orderly shutdown; the TPM then sees a power cut, and says so in `clockInfo.safe`.
    pub fn reset(&mut self) -> Result<(), BenchError> {
        let _orderly = self.client().and_then(|mut tpm| tpm.shutdown());
        self.power_off();
        self.process = power_on(&self.state, self.port)?;
        self.ready()
    }

    /// Kills the TPM and leaves it off.
    pub fn power_off(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Copies its state, as whoever has the machine's disk can; the TPM is off meanwhile.
    pub fn copy_state(&self, to: &Path) -> Result<(), BenchError> {
        copy_files(&self.state, to)
    }

    /// Puts a copy back; the TPM is off meanwhile.
    pub fn restore_state(&self, from: &Path) -> Result<(), BenchError> {
        copy_files(from, &self.state)
    }

    fn ready(&self) -> Result<(), BenchError> {
        wait_for(&format!("swtpm at port {} answers", self.port), Duration::from_secs(5), || {
            self.client().and_then(|mut tpm| tpm.pcr_read(Bank::Sha256, 0)).map(drop).map_err(|error| error.to_string())
        })
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The TCTI configuration of an swtpm (or a proxy before it) at `port` on this machine.
pub fn tcti(port: u16) -> String {
    format!("swtpm:host=127.0.0.1,port={port}")
}

fn copy_files(from: &Path, to: &Path) -> Result<(), BenchError> {
    let io = |path: &Path| BenchError::io(format!("copy {}", path.display()));
    fs::create_dir_all(to).map_err(io(to))?;
    for entry in fs::read_dir(from).map_err(io(from))? {
        let path = entry.map_err(io(from))?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name)).map_err(io(&path))?;
        }
    }
    Ok(())
}

fn power_on(state: &Path, port: u16) -> Result<Child, BenchError> {
    let log_path = state.join("swtpm.log");
    let log = File::options().create(true).append(true).open(&log_path);
    let log = log.map_err(BenchError::io(format!("open {}", log_path.display())))?;
    let mut command = Command::new("swtpm");
    command
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
        .arg(format!("dir={}", state.display()))
        .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
        .args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)]);
    children::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)).map_err(BenchError::io("start swtpm"))
}
