//! A machine: a TPM, and what it measured when it booted.

use std::fs;
use std::path::{Path, PathBuf};

use podseal_node_attester::config::AkKind;
use podseal_protocol::Profile;

use super::Site;
use super::makers::Fitted;
use crate::bootlog::Boot;
use crate::error::BenchError;
use crate::raw_tpm::Bank;
use crate::sandbox::random_name;
use crate::swtpm::Swtpm;
use crate::tpm_proxy::TpmProxy;

/// The banks of every machine's TPM.
pub const BANKS: [Bank; 3] = [Bank::Sha1, Bank::Sha256, Bank::Sha384];

/// What a machine's attester does without: its TPM is software, reached over TCP.
pub const EXCEPTION: &str = "privileged-network";

/// A booted machine; its TPM ends with the value. A guest whose profile has no TPM leaves it alone.
#[derive(Debug)]
pub struct Machine {
    name: String,
    uid: String,
    dir: PathBuf,
    profile: Profile,
    fitted: Fitted,
    tpm: Swtpm,
}

/// Where an attester finds the rest of its node.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The verifier's address.
    pub address: String,
    /// The verifier's identity.
    pub verifier: String,
    /// The cluster's id.
    pub cluster: String,
    /// The container runtime's socket.
    pub runtime: PathBuf,
    /// The workload directory.
    pub published: PathBuf,
    /// `tpm.ak`, where the configuration says it.
    pub ak: Option<AkKind>,
    /// Whether a pod log is kept.
    pub pod_log: bool,
    /// More lines for the configuration.
    pub more: String,
}

impl Machine {
    /// Makes a machine with its own TPM in `dir`, boots it, and puts a proxy before its TPM if `proxied`.
    pub(super) fn boot(site: &Site, dir: &Path, name: &str, uid: &str, boot: &Boot, proxied: bool) -> Result<Self, BenchError> {
        let mut machine = Self::boot_on(site, dir, (name, uid), boot, Profile::Tpm)?;
        if proxied {
            machine.fitted = Fitted::Tpm(Some(TpmProxy::start(machine.tpm.port())?));
        }
        Ok(machine)
    }

    /// Makes a machine of `profile` in `dir`, of the site's makers, and boots it.
    pub(super) fn boot_on(site: &Site, dir: &Path, known: (&str, &str), boot: &Boot, profile: Profile) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let tpm = Swtpm::start(&site.tpm_state(known.0)?)?;
        let dir = dir.to_path_buf();
        let machine = Self { name: known.0.into(), uid: known.1.into(), dir, profile, fitted: Fitted::Tpm(None), tpm };
        machine.measure(boot)?;
        let fitted =
            if profile == Profile::Tpm { Fitted::Tpm(None) } else { site.makers()?.build(profile, &machine.dir, &machine.tpm, boot)? };
        Ok(Self { fitted, ..machine })
    }

    /// What proves it.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The hardware around its TPM, or in its place.
    pub fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    /// Boots it again, as `boot` says. The attester keeps running, as it never does on a real machine: restart it.
    pub fn reboot(&mut self, boot: &Boot) -> Result<(), BenchError> {
        self.tpm.reset()?;
        self.measure(boot)
    }

    /// Resets its TPM and boots as `boot` says, and the kernel's boot id stays: no machine does that.
    pub fn reboot_tpm_alone(&mut self, boot: &Boot) -> Result<(), BenchError> {
        self.tpm.reset()?;
        boot.measure(&mut self.tpm.client()?, &BANKS, &self.event_log())
    }

    /// Takes the power from its TPM; [`Machine::reboot`] gives it back.
    pub fn power_off(&mut self) {
        self.tpm.power_off();
    }

    /// Under which it is enrolled.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The uid of its node object.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its TPM.
    pub fn tpm(&self) -> &Swtpm {
        &self.tpm
    }

    /// The proxy before its TPM, where it was booted with one.
    pub fn proxy(&self) -> Option<&TpmProxy> {
        self.fitted.proxy()
    }

    /// The firmware's event log. A test that changes the file is an attacker on the disk.
    pub fn event_log(&self) -> PathBuf {
        self.dir.join("boot.log")
    }

    /// The attestation key, wrapped by the TPM, once the machine is enrolled.
    pub fn ak_state(&self) -> PathBuf {
        self.dir.join("ak")
    }

    /// The file with the kernel's boot id.
    pub fn boot_id(&self) -> PathBuf {
        self.dir.join("boot_id")
    }

    /// The pod log, where one is kept.
    pub fn pod_log(&self) -> PathBuf {
        self.dir.join("pod-log")
    }

    /// The attester's configuration.
    pub fn config(&self, around: &Surroundings) -> String {
        let tcti = self.proxy().map_or_else(|| self.tpm.tcti(), TpmProxy::tcti);
        let (name, uid) = (&self.name, &self.uid);
        let [boot_id, ak, log, issuer] =
            [self.boot_id(), self.ak_state(), self.event_log(), self.dir.join("ek-issuer.pem")].map(|path| path.display().to_string());
        let Surroundings { address, verifier, cluster, runtime, published, ak: kind, pod_log, more } = around;
        let kind = kind.map_or_else(String::new, |kind| format!("ak = \"{}\"\n", kind.as_str()));
        let pod_log = if *pod_log { format!("\n[pod_log]\nfile = \"{}\"\n", self.pod_log().display()) } else { String::new() };
        let (runtime, published) = (runtime.display(), published.display());
        let (profile, evidence) = (self.profile, self.fitted.config(&self.dir));
        let ek_intermediates = if profile == Profile::Tpm { format!("ek_intermediates = \"{issuer}\"\n") } else { String::new() };
        let tpm = format!("[tpm]\ntcti = \"{tcti}\"\n{kind}ak_state = \"{ak}\"\nevent_log = \"{log}\"\n{ek_intermediates}");
        let tpm = if profile.has_node_key() { String::new() } else { tpm };
        format!(
            r#"[node]
name = "{name}"
cluster = "{cluster}"
uid = "{uid}"
boot_id = "{boot_id}"
profile = "{profile}"

[verifier]
address = "{address}"
id = "{verifier}"

{tpm}
[runtime]
socket = "{runtime}"

[workload]
directory = "{published}"

[hardening]
exceptions = ["{EXCEPTION}"]

[log]
format = "json"
{pod_log}{evidence}{more}"#
        )
    }

    fn measure(&self, boot: &Boot) -> Result<(), BenchError> {
        boot.measure(&mut self.tpm.client()?, &BANKS, &self.event_log())?;
        let id = random_name()? + &random_name()?;
        fs::write(self.boot_id(), format!("{id}\n")).map_err(BenchError::io("write the boot id"))
    }
}
