//! A node: a machine with a container runtime and the shipped attester.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

use podseal_node_attester::config::AkKind;
use podseal_protocol::{Digest, Profile};
use rustix::process::Signal;
use serde_json::Value;

use super::Site;
use super::daemon::Daemon;
use super::machine::{Machine, Surroundings};
use crate::binaries::{program, static_program};
use crate::bootlog::Boot;
use crate::containerd::Containerd;
use crate::error::{BenchError, run};
use crate::image::{Image, Stored};

/// What a node is to be. [`NodeOptions::new`] is an honest one.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Its name: a DNS label that no other node of the site has.
    pub name: String,
    /// The uid of its node object.
    pub uid: String,
    /// What it boots.
    pub boot: Boot,
    /// Another address for the verifier, such as a proxy's.
    pub verifier: Option<String>,
    /// Another program in the launcher's place.
    pub launcher: Option<PathBuf>,
    /// Whether a [`crate::tpm_proxy::TpmProxy`] stands before its TPM.
    pub proxied: bool,
    /// What proves it.
    pub profile: Profile,
    /// Which kind of AK its configuration says.
    pub ak: Option<AkKind>,
    /// Whether its attester keeps a pod log.
    pub pod_log: bool,
    /// More lines for the attester's configuration, such as `[limits]`.
    pub config: String,
    /// Words for strace, when the attester is to run under it.
    pub strace: Vec<String>,
}

impl NodeOptions {
    /// A node of `profile`, of the site's makers. Hardware without a register for it keeps no pod log.
    pub fn of(site: &Site, profile: Profile, name: &str) -> Self {
        Self { profile, pod_log: profile.pod_log().is_some(), ..Self::new(site, name) }
    }

    /// A node that boots what the site's reference values know.
    pub fn new(site: &Site, name: &str) -> Self {
        Self {
            name: name.into(),
            uid: format!("uid-of-{name}"),
            boot: site.boot().clone(),
            verifier: None,
            launcher: None,
            proxied: false,
            profile: Profile::Tpm,
            ak: None,
            pod_log: true,
            config: String::new(),
            strace: Vec::new(),
        }
    }
}

/// A running node; everything on it ends with the value.
#[derive(Debug)]
pub struct Node {
    attester: Daemon,
    runtime: Containerd,
    machine: Machine,
    launcher: Digest,
    pod_log: bool,
    payment_api: OnceLock<Result<Stored, String>>,
}

impl Node {
    /// Boots, enrols with a join token and starts a node, which has attested when this returns: its TPM has nothing to do.
    pub(super) fn start(site: &Site, options: NodeOptions) -> Result<Self, BenchError> {
        let (dir, number) = site.node_folder();
        let machine = if options.profile == Profile::Tpm {
            Machine::boot(site, &dir, &options.name, &options.uid, &options.boot, options.proxied)?
        } else {
            Machine::boot_on(site, &dir, (&options.name, &options.uid), &options.boot, options.profile)?
        };
        let runtime = Containerd::start(&dir.join("rt"), &options.name, number, &static_program("pause"))?;
        let published = dir.join("pub");
        let launcher = publish(&published, options.launcher.as_deref())?;
        fs::create_dir_all(dir.join("tok")).map_err(BenchError::io("make the tokens' folder"))?;
        site.cluster().register(site.admin(), &[dir.join("rt/root"), dir.join("rt/state")], &[published.clone(), dir.join("tok")])?;
        let around = site.surroundings(&options, runtime.socket(), published);
        let config = write_config(&machine, &around)?;
        enrol(site, site.cluster().id(), &machine, &config)?;
        let words =
            [program("podseal-node-attester")?.display().to_string(), "run".into(), "--config".into(), config.display().to_string()];
        let strace =
            if options.strace.is_empty() { Vec::new() } else { [vec!["strace".into()], options.strace, vec!["--".into()]].concat() };
        let attester = Daemon::start(words.into(), strace, dir.join("attester.log"))?;
        let node = Self { attester, runtime, machine, launcher, pod_log: options.pod_log, payment_api: OnceLock::new() };
        node.ready()?;
        node.attester.ready("the attester attests, or says why not", || {
            let log = node.attester.log();
            let told = ["the node attests", "the node does not attest", "the node could not attest"];
            if told.iter().any(|words| log.contains(words)) { Ok(()) } else { Err(log) }
        })?;
        Ok(node)
    }

    /// The machine below.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine below, to be booted again.
    pub fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Its container runtime.
    pub fn runtime(&self) -> &Containerd {
        &self.runtime
    }

    /// Its attester's process.
    pub fn attester(&self) -> &Daemon {
        &self.attester
    }

    /// Its attester's process, to be ended.
    pub fn attester_mut(&mut self) -> &mut Daemon {
        &mut self.attester
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// Whether its attester keeps a pod log.
    pub fn keeps_pod_log(&self) -> bool {
        self.pod_log
    }

    /// What the owner of a secret has to accept by name for this node to get it, sorted.
    pub fn accepted(&self) -> Vec<&'static str> {
        let unlogged = (!self.pod_log).then_some("no-pod-log");
        ["host-trusted"].into_iter().chain(unlogged).chain(["test-root"]).collect()
    }

    /// The attester's configuration file.
    pub fn config(&self) -> PathBuf {
        self.machine.dir().join("attester.toml")
    }

    /// What containers see at `/podseal`: `attester.sock`, `launch`, the empty folder `secrets`, and the empty file over which a pod's token is mounted.
    pub fn published(&self) -> PathBuf {
        self.machine.dir().join("pub")
    }

    /// The folder of pods' tokens, one file each.
    pub fn tokens(&self) -> PathBuf {
        self.machine.dir().join("tok")
    }

    /// Digest of its launcher.
    pub fn launcher(&self) -> Digest {
        self.launcher
    }

    /// `podseal.test/payment-api:1` in its runtime: root folder, entry point `/payment-api`, `PATH=/`.
    pub fn payment_api(&self) -> Result<&Stored, BenchError> {
        let import = || self.runtime.import(&payment_api("1"));
        let stored = self.payment_api.get_or_init(|| import().map_err(|error| error.to_string()));
        stored.as_ref().map_err(|error| BenchError::answer("import of payment-api", error.clone(), "an image"))
    }

    /// Kills the attester where it runs, and starts it again; with strace words (none: without strace).
    pub fn restart_attester(&mut self, strace: &[&str]) -> Result<(), BenchError> {
        let words: Vec<String> = strace.iter().map(ToString::to_string).collect();
        let strace = if words.is_empty() { words } else { [vec!["strace".into()], words, vec!["--".into()]].concat() };
        self.attester.start_again(strace)?;
        self.ready()
    }

    /// Boots the machine and starts the attester again, as a real machine does both.
    pub fn reboot(&mut self, boot: &Boot) -> Result<(), BenchError> {
        self.attester.kill();
        self.machine.reboot(boot)?;
        self.restart_attester(&[])
    }

    /// Takes the power from the machine: its TPM is off, and no attester runs. [`Node::reboot`] gives it back.
    pub fn power_off(&mut self) {
        self.attester.kill();
        self.machine.power_off();
    }

    /// The lines of the attester's log about one container, as JSON: `fields.message`, `fields.reason`, `fields.audit_id`, ….
    pub fn told_of(&self, container: &str) -> Vec<Value> {
        let lines = self.attester.log();
        let lines = lines.lines().filter(|line| line.contains(container));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Crashes the attester by SIGSEGV with core dumps of any size allowed, and starts it again. How it ended.
    pub fn crash_attester(&self) -> Result<ExitStatus, BenchError> {
        self.end_attester(Signal::SEGV)
    }

    /// Ends the attester by a signal, does `meanwhile`, and starts it again. How it ended.
    pub fn end_attester_while<T>(&self, signal: Signal, meanwhile: impl FnOnce() -> T) -> Result<T, BenchError> {
        let (_, done) = self.attester.end_by(signal, meanwhile)?;
        self.ready()?;
        Ok(done)
    }

    fn end_attester(&self, signal: Signal) -> Result<ExitStatus, BenchError> {
        let (status, ()) = self.attester.end_by(signal, || ())?;
        self.ready()?;
        Ok(status)
    }

    fn ready(&self) -> Result<(), BenchError> {
        let socket = self.published().join("attester.sock");
        self.attester
            .ready("the attester listens", || std::os::unix::net::UnixStream::connect(&socket).map(drop).map_err(|error| error.to_string()))
    }
}

/// The payment API's image; images with different `tag` have different digests.
pub fn payment_api(tag: &str) -> Image {
    let image = Image::new("podseal.test/payment-api", tag).program("/payment-api", &static_program("payment-api"));
    let image = image.entrypoint(&["/payment-api"]).env(&["PATH=/"]).working_dir("/").folder("/podseal", 0o755);
    if tag == "1" { image } else { image.text("/tag", tag, 0o644) }
}

/// Makes the workload directory, and gives the launcher's digest.
pub(super) fn publish(dir: &Path, launcher: Option<&Path>) -> Result<Digest, BenchError> {
    let io = |what: &str| BenchError::io(format!("{what} in {}", dir.display()));
    fs::create_dir_all(dir).map_err(io("make the folder"))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(io("chmod"))?;
    let source = launcher.map_or_else(|| static_program("podseal-launch"), Path::to_path_buf);
    let bytes = fs::read(&source).map_err(BenchError::io(format!("read {}", source.display())))?;
    fs::write(dir.join("launch"), &bytes).map_err(io("write launch"))?;
    fs::set_permissions(dir.join("launch"), fs::Permissions::from_mode(0o755)).map_err(io("chmod launch"))?;
    fs::write(dir.join("token"), b"").map_err(io("write token"))?;
    Ok(Digest::of(&bytes))
}

/// Writes the attester's configuration beside its machine.
pub(super) fn write_config(machine: &Machine, around: &Surroundings) -> Result<PathBuf, BenchError> {
    let config = machine.dir().join("attester.toml");
    fs::write(&config, machine.config(around)).map_err(BenchError::io("write attester.toml"))?;
    Ok(config)
}

/// Enrols a machine with a one-time token, by the shipped programs.
pub(super) fn enrol(site: &Site, cluster: &str, machine: &Machine, config: &Path) -> Result<(), BenchError> {
    let token = site.join_token_in(cluster, machine.name())?;
    let issuer = machine.dir().join("ek-issuer.pem");
    fs::copy(site.ek_issuer(), &issuer).map_err(BenchError::io("copy the EK's issuer"))?;
    let file = machine.dir().join("join-token");
    fs::write(&file, token).map_err(BenchError::io("write the join token"))?;
    run(Command::new(program("podseal-node-attester")?).args(["enroll", "--config"]).arg(config).arg("--token-file").arg(&file)).map(drop)
}
