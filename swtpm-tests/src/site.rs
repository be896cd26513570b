//! A site: one verifier, one cluster, its nodes and their pods, all of them the shipped programs, put together as an operator would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use podseal_protocol::{Digest, Profile};

pub mod admin;
pub mod cluster;
pub mod counterfeit;
pub mod daemon;
pub mod forger;
pub mod injector;
pub mod machine;
pub mod makers;
pub mod node;
pub mod on_kubernetes;
pub mod permit;
pub mod verifier;
pub mod workload;

pub use admin::{Admin, Explained, Ran};
pub use cluster::Cluster;
pub use counterfeit::{Claim, Counterfeit, Joining};
pub use daemon::Daemon;
pub use forger::Forger;
pub use injector::Injector;
pub use machine::{Machine, Surroundings};
pub use makers::{Fitted, Makers};
pub use node::{Node, NodeOptions};
pub use on_kubernetes::NodeAttester;
pub use permit::Permit;
pub use verifier::Verifier;
pub use workload::{Ended, Launched, Refused, Workload};

use crate::bootlog::Boot;
use crate::error::BenchError;
use crate::hardware::amd::SnpGuest;
use crate::tpm_ca::TpmCa;

/// The cluster's id.
pub const CLUSTER: &str = "bench";
const ISSUER: &str = "https://issuer.bench.test";
/// Weaknesses that the owner of a bench's secret accepts: the TPM is software, and nothing measures the attester.
pub const ACCEPTED: &str = "host-trusted,test-root";
/// The first subnet of nodes of a site, 10.88.N.0/24; the ones before are other fixtures'.
const FIRST_SUBNET: u8 = 10;

static SUBNETS: AtomicU8 = AtomicU8::new(FIRST_SUBNET);

/// A running site. Fields drop in order: nodes before what they talk to.
#[derive(Debug)]
pub struct Site {
    node: OnceLock<Result<Node, String>>,
    verifier: Verifier,
    admin: Admin,
    cluster: Cluster,
    makers: Option<Makers>,
    boot: Boot,
    ca: TpmCa,
    spare_tpm: Mutex<Option<PathBuf>>,
    permits: Mutex<BTreeMap<String, String>>,
    machines: AtomicU8,
    dir: PathBuf,
}

impl Site {
    /// Starts verifier and issuer in `dir` (made new; keep the path short), registers the cluster, and takes the reference values of the site's boot.
    pub fn start(dir: &Path) -> Result<Self, BenchError> {
        Self::start_with(dir, "", &[])
    }

    /// [`Site::start`], with more lines in the verifier's configuration, and the verifier under strace where `strace` has words.
    pub fn start_with(dir: &Path, config: &str, strace: &[&str]) -> Result<Self, BenchError> {
        Self::start_among(dir, None, config, strace)
    }

    /// [`Site::start`], with makers of other hardware than TPMs, which its verifier trusts as test roots; it has reference values of each.
    pub fn start_with_makers(dir: &Path) -> Result<Self, BenchError> {
        let makers = Makers::new(&dir.join("makers"))?;
        let config = makers.config();
        let site = Self::start_among(dir, Some(makers), &config, &[])?;
        for profile in Profile::ALL.into_iter().filter(|profile| *profile != Profile::Tpm) {
            site.trust_machines(profile)?;
        }
        Ok(site)
    }

    fn start_among(dir: &Path, makers: Option<Makers>, config: &str, strace: &[&str]) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let ca = TpmCa::new(dir.join("ca"))?;
        let spare = dir.join("tpm-0");
        // The maker's root is drawn with its first TPM.
        ca.manufacture("tpm-0", &spare, &machine::BANKS)?;
        let verifier = Verifier::start_with(&dir.join("v"), &ca.root_pem(), config, strace)?;
        let admin = Admin::of(&verifier);
        let cluster = Cluster::start(&dir.join("c"), CLUSTER, ISSUER)?;
        cluster.register(&admin, &[], &[])?;
        let site = Self {
            node: OnceLock::new(),
            verifier,
            admin,
            cluster,
            makers,
            boot: Boot::new()?,
            ca,
            spare_tpm: Mutex::new(Some(spare)),
            permits: Mutex::default(),
            machines: AtomicU8::new(0),
            dir: dir.to_path_buf(),
        };
        site.trust("bench-server", &site.boot)?;
        Ok(site)
    }

    /// The verifier.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The verifier, to be killed and restarted: on a site of one's own.
    pub fn verifier_mut(&mut self) -> &mut Verifier {
        &mut self.verifier
    }

    /// The administrator.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The makers of its other hardware.
    ///
    /// # Errors
    /// There are none: it was not made by [`Site::start_with_makers`].
    pub fn makers(&self) -> Result<&Makers, BenchError> {
        self.makers.as_ref().ok_or_else(|| BenchError::answer("the site", "no makers", "a site with makers"))
    }

    /// What the site's reference values know.
    pub fn boot(&self) -> &Boot {
        &self.boot
    }

    /// The site's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The shared honest node, `node-a`. Tests don't change it.
    pub fn node(&self) -> Result<&Node, BenchError> {
        let node = self.node.get_or_init(|| self.start_node(NodeOptions::new(self, "node-a")).map_err(|error| error.to_string()));
        node.as_ref().map_err(|error| BenchError::answer("node-a", error.clone(), "a running node"))
    }

    /// A node of a test's own.
    pub fn start_node(&self, options: NodeOptions) -> Result<Node, BenchError> {
        Node::start(self, options)
    }

    /// A machine of a test's own that is not enrolled and runs no attester.
    pub fn boot_machine(&self, name: &str, boot: &Boot) -> Result<Machine, BenchError> {
        let (dir, _) = self.node_folder();
        Machine::boot(self, &dir, name, &format!("uid-of-{name}"), boot, false)
    }

    /// A token with which the node of this name can join, once: `podseal node join-token`.
    pub fn join_token(&self, node: &str) -> Result<String, BenchError> {
        self.join_token_in(self.cluster.id(), node)
    }

    /// The same for a node of another cluster that the verifier knows.
    pub(crate) fn join_token_in(&self, cluster: &str, node: &str) -> Result<String, BenchError> {
        let made = self.admin.podseal(&["node", "join-token", "--cluster", cluster, "--node", node])?;
        made["token"].as_str().map(str::to_owned).ok_or_else(|| BenchError::answer("join-token", made.to_string(), "a token"))
    }

    /// Puts a version of a secret, whose owner accepts what a bench cannot have: `podseal secret put`.
    pub fn put_secret(&self, name: &str, value: &[u8]) -> Result<(), BenchError> {
        self.admin.run(&["secret", "put", name, "--accept", ACCEPTED], value)?.json().map(drop)
    }

    /// Puts a permit in force beside those of the other tests; a permit for the same secret takes the place of the one before.
    pub fn allow(&self, permit: &Permit) -> Result<(), BenchError> {
        self.allow_text(permit.id(), permit.text())
    }

    /// The same with the text of a statement, under a name of the caller's.
    pub fn allow_text(&self, name: String, text: String) -> Result<(), BenchError> {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        permits.insert(name, text);
        self.apply_policy(&permits.values().cloned().collect::<Vec<_>>().join("\n"))
    }

    /// Puts exactly this policy in force: on a site of one's own.
    pub fn apply_policy(&self, text: &str) -> Result<(), BenchError> {
        let file = self.dir.join("policy.cedar");
        fs::write(&file, text).map_err(BenchError::io("write policy.cedar"))?;
        self.admin.podseal(&["policy", "apply", &file.display().to_string()]).map(drop)
    }

    /// Everything that a workload needs to be released `NAMESPACE/db`: the secret, random, and the permit. Returns the digest of the value.
    pub fn entitle(&self, workload: &Workload, node: &Node) -> Result<Digest, BenchError> {
        let value = crate::sandbox::random_name()? + &crate::sandbox::random_name()?;
        let accepted = ["--accept", &node.accepted().join(",")];
        self.admin.run(&[&["secret", "put", &format!("{}/db", workload.namespace)], &accepted[..]].concat(), value.as_bytes())?.json()?;
        self.allow(&workload.permit(self, node)?)?;
        Ok(Digest::of(value.as_bytes()))
    }

    /// Takes the boot log of a machine as reference values: `podseal reference capture` and `apply`.
    pub fn trust(&self, name: &str, boot: &Boot) -> Result<(), BenchError> {
        let (log, file) = (self.dir.join(format!("{name}.log")), self.dir.join(format!("{name}.toml")));
        fs::write(&log, crate::bootlog::encode(&boot.events(), &machine::BANKS)).map_err(BenchError::io("write a boot log"))?;
        let (log, file) = (log.display().to_string(), file.display().to_string());
        let expires = "2099-01-01T00:00:00Z";
        self.admin.podseal(&["reference", "capture", "--event-log", &log, "--name", name, "--expires", expires, "--write", &file])?;
        self.admin.podseal(&["reference", "apply", &file]).map(drop)
    }

    /// Takes what the machines of a profile boot as reference values: `podseal reference capture` and `apply`.
    pub fn trust_machines(&self, profile: Profile) -> Result<(), BenchError> {
        let makers = self.makers()?;
        let write = |name: &str, bytes: &[u8]| {
            let path = self.dir.join(format!("{profile}.{name}"));
            fs::write(&path, bytes).map_err(BenchError::io(format!("write {}", path.display())))?;
            Ok::<_, BenchError>(path.display().to_string())
        };
        let nothing = [0; 64];
        let launch = match profile {
            Profile::Snp => Some(makers.chip.report(&SnpGuest::honest(), &nothing)?),
            Profile::AzureSnp => Some(makers.chip.report(&makers::azure_guest(), &nothing)?),
            Profile::Tdx => Some(makers.platform.quote(&makers::td(&self.boot).0, &nothing)?),
            Profile::Tpm | Profile::NitroTpm => None,
        };
        let log = match profile {
            Profile::Snp => None,
            Profile::Tdx => Some(makers::td(&self.boot).1.log),
            _ => Some(crate::bootlog::encode(&self.boot.events(), &machine::BANKS)),
        };
        let (name, file) = (format!("{profile}-server"), write("toml", b"")?);
        let mut words: Vec<String> =
            ["reference", "capture", "--name", &name, "--expires", "2099-01-01T00:00:00Z", "--write", &file].map(String::from).into();
        if let Some(launch) = launch {
            words.extend(["--launch".to_owned(), write("launch", &launch)?]);
        }
        if let Some(log) = log {
            words.extend(["--event-log".to_owned(), write("log", &log)?]);
        }
        match profile {
            Profile::NitroTpm => words.extend(["--bank", "sha384"].map(String::from)),
            Profile::Tdx => words.extend(["--bank", "sha384", "--layout", "td"].map(String::from)),
            _ => {}
        }
        self.admin.podseal(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.admin.podseal(&["reference", "apply", &file]).map(drop)
    }

    /// What was decided under an audit id.
    pub fn explain(&self, audit_id: &str) -> Result<Explained, BenchError> {
        self.admin.explain(audit_id)
    }

    /// The certificate between EK certificates and the root, PEM.
    pub fn ek_issuer(&self) -> PathBuf {
        self.ca.issuer_pem()
    }

    /// The maker of the site's TPMs.
    pub fn ca(&self) -> &TpmCa {
        &self.ca
    }

    pub(crate) fn surroundings(&self, options: &NodeOptions, runtime: PathBuf, published: PathBuf) -> Surroundings {
        Surroundings {
            address: options.verifier.clone().unwrap_or_else(|| self.verifier.address()),
            verifier: self.verifier.id().to_owned(),
            cluster: self.cluster.id().to_owned(),
            runtime,
            published,
            ak: options.ak,
            pod_log: options.pod_log,
            more: options.config.clone(),
        }
    }

    /// A new folder for a machine, and a subnet that no other node of the process has.
    pub(crate) fn node_folder(&self) -> (PathBuf, u8) {
        let number = self.machines.fetch_add(1, Ordering::Relaxed);
        (self.dir.join(format!("n{number}")), SUBNETS.fetch_add(1, Ordering::Relaxed))
    }

    /// The state of a TPM that nobody has yet.
    pub(crate) fn tpm_state(&self, name: &str) -> Result<PathBuf, BenchError> {
        // Held while a TPM is made: the maker has one serial number file.
        let mut spare = self.spare_tpm.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = spare.take() {
            return Ok(state);
        }
        let state = self.dir.join(format!("tpm-{name}"));
        self.ca.manufacture(name, &state, &machine::BANKS)?;
        Ok(state)
    }
}
