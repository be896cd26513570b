//! What an appraisal says about a node and about a workload: the only facts that policy sees.
//!
//! Claims come from verified bytes alone. A claim with nothing behind it is [`Claim::NotAppraised`], and whatever a policy needs and is
//! not appraised is refused; it is never a default.

use podseal_protocol::Digest;

/// A fact, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<T> {
    /// Derived from evidence that passed every check before it.
    Appraised(T),
    /// Nothing was there to derive it from; the text says what was missing.
    NotAppraised(&'static str),
}

impl<T> Claim<T> {
    /// The fact, where there is one.
    pub fn appraised(&self) -> Option<&T> {
        match self {
            Self::Appraised(value) => Some(value),
            Self::NotAppraised(_) => None,
        }
    }
}

/// Why a guest's own words are no claims: its hardware vouches for what was launched, and for the words only if that is known.
pub(crate) const LAUNCH_UNKNOWN: &str = "no reference set says what was launched";

/// Memory encryption and isolation under a hardware root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The evidence has no TEE's report.
    None,
    /// AMD SEV-SNP.
    Snp,
    /// Intel TDX.
    Tdx,
}

/// How far measured boot reaches, compared with reference values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Boot {
    /// No register matched a reference value.
    None,
    /// Firmware (PCR 0-3) is at reference values.
    Firmware,
    /// Firmware, boot loader, kernel and its command line are at reference values.
    Kernel,
}

/// Whether attester, container runtime and kubelet are themselves measured at reference digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// The node's root can forge what the attester says about pods.
    SelfAsserted,
}

/// What is known of the containers that ran on the node since it booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodLog {
    /// The node keeps no pod log.
    None,
    /// Each container and each exec is in a log that the quoted register proves, written when it was heard of.
    Observed,
}

/// What kind of root the hardware evidence ends at; stated where the root is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKind {
    /// A maker's root, as shipped hardware has it.
    Production,
    /// Anything else (a software TPM). It can never vouch for more.
    Test,
}

macro_rules! words {
    ($type:ty { $($variant:ident => $word:literal),+ }) => {
        impl $type {
            /// The word used in policies, receipts and JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}
words!(Memory { None => "none", Snp => "snp", Tdx => "tdx" });
words!(Boot { None => "none", Firmware => "firmware", Kernel => "kernel" });
words!(Agent { SelfAsserted => "self-asserted" });
words!(PodLog { None => "none", Observed => "observed" });
words!(RootKind { Production => "production", Test => "test" });

impl RootKind {
    /// The kind of that word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Production, Self::Test].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What the evidence says about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeClaims {
    /// Registered name of the node.
    pub node: String,
    /// Registered cluster of the node.
    pub cluster: String,
    /// Evidence profile it is registered with: the word of a [`podseal_protocol::Profile`].
    pub profile: String,
    /// Memory isolation.
    pub memory: Claim<Memory>,
    /// Reach of measured boot.
    pub boot: Claim<Boot>,
    /// Whether the TPM is known to live in the TEE.
    pub tpm_in_tee: Claim<bool>,
    /// Whether the agent itself is measured.
    pub agent: Claim<Agent>,
    /// Kind of the root at which the evidence ends.
    pub root: Claim<RootKind>,
    /// UEFI Secure Boot, as the boot log has it in PCR 7.
    pub secure_boot: Claim<bool>,
    /// Whether the node keeps a pod log.
    pub pod_log: Claim<PodLog>,
    /// Images that ran privileged since boot, sorted: the manifest's digest (`sha256:…`), or the whole name where it has none.
    pub privileged_images: Claim<Vec<String>>,
    /// How often the pod log may have missed something since boot.
    pub pod_log_gaps: Claim<u64>,
    /// Names of the restrictions that the attester does without (`landlock`, `privileged-network`), sorted: as it said when it started last.
    pub agent_exceptions: Claim<Vec<String>>,
}

/// An environment variable: the value only as its digest, since other people's secrets may be in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// `h(value)`.
    pub value: Digest,
}

/// A mount, normalised so that per-pod values (uids, host paths) don't show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// Path in the container.
    pub destination: String,
    /// `projected`, `configMap`, `secret`, `emptyDir`, `downwardAPI`, `csi`, `hosts` (kubelet's own files), `podseal`, `kernel`
    /// (proc, sysfs, cgroup, mqueue, devpts, tmpfs of the runtime) or `hostPath`: everything that is not recognised is `hostPath`.
    pub kind: String,
    /// Mounted read-only.
    pub read_only: bool,
}

/// Another container of the same pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sibling {
    /// Its name in the pod.
    pub name: String,
    /// Digest of its image's manifest.
    pub image: Digest,
    /// Runs privileged.
    pub privileged: bool,
}

/// What the kernel, the runtime and the cluster say about the container that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadClaims {
    /// Configured id of the cluster whose keys verified the token.
    pub cluster: String,
    /// Namespace: token and runtime agree.
    pub namespace: String,
    /// Pod name: token and runtime agree.
    pub pod: String,
    /// Pod uid: token and runtime agree.
    pub pod_uid: String,
    /// Service account of the token.
    pub service_account: String,
    /// Name of the container within the pod.
    pub container: String,
    /// Digest of the image's manifest.
    pub image: Digest,
    /// Digest of the image's configuration.
    pub image_config: Digest,
    /// Digest of the launcher that asks.
    pub launcher: Digest,
    /// `process.args`.
    pub args: Vec<String>,
    /// `process.cwd`: where the application starts, and finds what it opens by a relative path.
    pub cwd: String,
    /// `process.env`, sorted by name.
    pub env: Vec<EnvVar>,
    /// `mounts`, sorted.
    pub mounts: Vec<Mount>,
    /// Paths in `linux.devices`, sorted.
    pub devices: Vec<String>,
    /// Number of OCI hooks of every stage.
    pub hooks: u32,
    /// `process.user.uid`.
    pub uid: u32,
    /// `process.user.gid`.
    pub gid: u32,
    /// `process.capabilities`, union of all sets, sorted.
    pub capabilities: Vec<String>,
    /// All devices allowed, or a capability set that amounts to root on the node.
    pub privileged: bool,
    /// No network namespace of the pod's own.
    pub host_network: bool,
    /// No PID namespace of the pod's own.
    pub host_pid: bool,
    /// No IPC namespace of the pod's own.
    pub host_ipc: bool,
    /// The containers of the pod share one PID namespace.
    pub shared_pid: bool,
    /// `root.readonly`.
    pub read_only_root: bool,
    /// `process.noNewPrivileges`.
    pub no_new_privileges: bool,
    /// The pod's other containers, sorted.
    pub siblings: Vec<Sibling>,
    /// Whether the token names the registered node; not appraised where the cluster's tokens name no node.
    pub token_names_node: Claim<bool>,
    /// Processes that were started in the pod's containers besides their own, since its sandbox was started.
    pub pod_execs: Claim<u64>,
}
