//! Configuration in two phases: the file as written ([`raw`]), then [`Config`], checked before anything is opened.
//!
//! ```toml
//! [node]
//! name = "node-a"                       # under which the verifier registers it
//! cluster = "prod-eu"                   # as in `podseal cluster add`
//! uid = "6f1c…"                         # metadata.uid of the node object
//! boot_id = "/proc/sys/kernel/random/boot_id"
//! profile = "tpm"                       # what proves it: tpm, snp, tdx, azure-snp or nitro-tpm
//!
//! [verifier]
//! address = "https://verifier.example:7443"
//! id = "…"                              # 64 hexadecimal digits: SHA-256 of the root's SPKI
//!
//! [tpm]                                 # of profile snp and tdx nothing of it
//! tcti = "device:/dev/tpmrm0"           # or swtpm:host=HOST,port=PORT
//! ak = "ecc"                            # or rsa; optional: the kind of the key that `enroll` makes
//! ak_state = "/var/lib/podseal/ak"      # written by `enroll`, mode 0600
//! event_log = "/sys/kernel/security/tpm0/binary_bios_measurements"
//! pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
//! ek_intermediates = "/etc/podseal/ek-intermediates.pem"   # optional
//!
//! [runtime]
//! socket = "/run/containerd/containerd.sock"
//!
//! [workload]
//! directory = "/run/podseal"            # bind-mounted read-only to /podseal: attester.sock, launch, secrets/
//! launcher = "/run/podseal/launch"
//!
//! [pod_log]                             # optional: without it no pod log is kept
//! file = "/var/lib/podseal/pod-log"
//!
//! [csi]                                 # optional: with it the kubelet gets volumes of the driver podseal.dev; each key is optional
//! kubelet = "/var/lib/kubelet"
//! directory = "/run/podseal-csi"        # tokens of pods, root's alone, in memory
//!
//! [evidence]                            # optional, as is each key: where the kernel and devices have evidence
//! key = "/var/lib/podseal/node-key"     # of profile snp and tdx: the node's own key, made by `enroll`
//! privlevel = 0                         # VMPL of SEV-SNP reports; without it the kernel's
//! azure_wait_ms = 3000                  # from writing report data to reading the report
//!
//! [limits]                              # optional, as is each key
//! connections = 256
//! frame_ms = 5000                       # for the launcher to send its request, and to take its reply
//! identify_ms = 5000
//! tpm_ms = 15000                        # one quote, opening the TPM included
//! round_ms = 30000                      # from the request to the verifier's answer
//! connect_ms = 3000                     # TCP and TLS to the verifier
//! call_ms = 10000                       # one call to the verifier
//! secrets_bytes = 8388608               # size of the tmpfs at /podseal/secrets
//!
//! [network]                             # optional: who the process is that talks to the verifier
//! uid = 65534
//! gid = 65534
//!
//! [hardening]                           # optional: restrictions that this node does without, by name
//! exceptions = ["privileged-network"]
//!
//! [log]                                 # optional
//! format = "text"                       # or json
//! ```

mod evidence;
mod raw;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use podseal_protocol::{Digest, Limits, Profile};
use podseal_wire::pinned::Timeouts;

use crate::hardening::{Exceptions, User};
pub use evidence::Evidence;
use raw::{Keyed, RawConfig};

/// What is wrong with a configuration, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: {problem}: create it, or name another with --config")]
    Unreadable {
        /// Which file.
        file: String,
        /// What the operating system said.
        problem: std::io::Error,
    },
    /// Not TOML, a key that is not known, one that is missing, or one of another type.
    #[error("{file}:{line}: {problem}: correct it; `podseal-node-attester check-config` checks again")]
    Syntax {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What the parser said.
        problem: String,
    },
    /// A value that cannot be meant.
    #[error("{file}:{line}: {key}: found {found:?}, wanted {wanted}: {remedy}")]
    Value {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What has to stand there.
        wanted: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this node is.
    pub node: Node,
    /// Where the verifier is, and which.
    pub verifier: Verifier,
    /// The TPM and what belongs to it.
    pub tpm: Tpm,
    /// The container runtime's CRI socket.
    pub runtime_socket: PathBuf,
    /// What containers see at `/podseal`.
    pub workload: Workload,
    /// The pod log, where one is kept. Its register is quoted besides [`Tpm::pcrs`].
    pub pod_log: Option<PathBuf>,
    /// The CSI driver, where there is one.
    pub csi: Option<Csi>,
    /// Where hardware evidence is collected.
    pub evidence: Evidence,
    /// Limits and deadlines.
    pub bounds: Bounds,
    /// Who the process is that talks to the verifier.
    pub network_user: User,
    /// Restrictions that this node does without.
    pub exceptions: Exceptions,
    /// Log lines as JSON.
    pub log_json: bool,
}

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Node {
    /// Registered name.
    pub name: String,
    /// Cluster that it belongs to.
    pub cluster: String,
    /// UID of the node object.
    pub uid: String,
    /// File with the kernel's boot id.
    pub boot_id: PathBuf,
    /// What proves it.
    pub profile: Profile,
}

/// The verifier.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// `https://HOST:PORT`.
    pub address: String,
    /// `h(SPKI of its root)`.
    pub id: Digest,
    /// For connecting and for one call.
    pub timeouts: Timeouts,
}

/// The TPM.
#[derive(Debug, Clone)]
pub struct Tpm {
    /// How to reach it.
    pub tcti: Tcti,
    /// Which kind of AK this node is to have; where nothing is said, the one that it has, or [`AkKind::Ecc`].
    pub ak: Option<AkKind>,
    /// File with the AK, wrapped by the TPM.
    pub ak_state: PathBuf,
    /// The firmware's event log.
    pub event_log: PathBuf,
    /// Registers to be quoted, ascending, at least one.
    pub pcrs: Vec<u8>,
    /// PEM certificates between the EK's and its root, where the TPM holds only the EK's.
    pub ek_intermediates: Option<PathBuf>,
}

/// A kind of attestation key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AkKind {
    /// RSA-2048, signing by RSASSA with SHA-256.
    Rsa,
    /// ECC on NIST P-256, signing by ECDSA with SHA-256.
    Ecc,
}

impl AkKind {
    /// The word for it in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ecc => "ecc",
        }
    }
}

/// A way to reach a TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcti {
    /// A character device; the kernel's resource manager is `/dev/tpmrm0`.
    Device(PathBuf),
    /// A software TPM's TCP port; its control port is the next one.
    Swtpm {
        /// Host name or address.
        host: String,
        /// Command port.
        port: u16,
    },
}

/// As the TPM software stack names it (TCG TSS 2.0 TCTI loader: `NAME:CONFIGURATION`).
impl core::fmt::Display for Tcti {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

/// What containers see at `/podseal`.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The host directory: `attester.sock`, the launcher and the empty directory `secrets`.
    pub directory: PathBuf,
    /// The launcher, on the attester's own mount.
    pub launcher: PathBuf,
}

impl Workload {
    /// The socket on which launchers ask.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("attester.sock")
    }
}

/// The CSI driver.
#[derive(Debug, Clone)]
pub struct Csi {
    /// The kubelet's folder, in which volumes are published.
    pub kubelet: PathBuf,
    /// Where the driver is served.
    pub socket: PathBuf,
    /// Where the kubelet learns of it.
    pub registration: PathBuf,
    /// The pods' tokens.
    pub directory: PathBuf,
}

/// Limits and deadlines.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For parsing.
    pub limits: Limits,
    /// Launchers at a time.
    pub connections: usize,
    /// For one frame, in or out.
    pub frame: Duration,
    /// For asking the runtime who a process is, once.
    pub identify: Duration,
    /// For one quote, opening the TPM included.
    pub tpm: Duration,
    /// From the request to the verifier's answer.
    pub round: Duration,
    /// How long the node is silent at most: then it attests by itself.
    pub attest: Duration,
    /// Size of the tmpfs for secrets, in bytes.
    pub secrets_bytes: u64,
}

impl Config {
    /// Reads and checks a configuration file; opens nothing that it names.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|problem| ConfigError::Unreadable { file: file.clone(), problem })?;
        Self::parse(&file, &text)
    }

    /// Checks the text of a configuration; `file` is named in errors.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let line_of = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let raw: RawConfig = toml::from_str(text).map_err(|e| ConfigError::Syntax {
            file: file.to_owned(),
            line: line_of(e.span().map_or(0, |span| span.start)),
            problem: e.message().replace('\n', " "),
        })?;
        raw.check().map_err(|Keyed { at, key, found, wanted, remedy }| ConfigError::Value {
            file: file.to_owned(),
            line: line_of(at),
            key,
            found,
            wanted,
            remedy,
        })
    }
}
