//! The pod log, on the node: every container and every exec since the node booted, as containerd tells it.
//!
//! ```text
//! watch       containerd's events, and comparisons with its list   (event loop)
//!   asking      who was started: CRI, or containerd itself
//!   record ──►  log    file first, then its register               (thread of the TPM's owner)
//! table       what runs, by the log: sessions wait for their container to be in it
//! ```
//!
//! A record is appended, synchronised, and then extended: a crash between leaves one that was not extended, which the next start extends.
//! The thread that extends is the one that quotes, so a quote and the length of the log that it is bound to agree.

mod asking;
mod containerd;
mod interface;
mod log;
mod table;
mod watch;

use std::{io, path::PathBuf};

use podseal_protocol::{BankDigest, pod_log::Register};

pub(crate) use log::Log;
pub use table::{Gate, NotRecorded, Table};
pub use watch::Watch;

/// Why a pod log is not kept, or gives no evidence.
#[derive(Debug, thiserror::Error)]
pub enum PodLogError {
    /// A file cannot be read or written.
    #[error("pod log: {path}: {problem}: correct the path, its permissions or its disk; it is tried again")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
    /// Another attester keeps this log.
    #[error("pod log: {path}: another process holds it: run one attester on a node, or correct pod_log.file")]
    InUse {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The boot id cannot be read.
    #[error("pod log: {path}: {problem}: correct node.boot_id")]
    BootId {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Log and register do not agree: one of them was changed by somebody else.
    #[error(transparent)]
    Disagrees(Box<Disagreement>),
    /// More has to be sent than is taken.
    #[error("pod log: {found} bytes of records have to be sent, at most {most} are taken: reboot the node, which begins a new log")]
    TooLong {
        /// How many bytes.
        found: u64,
        /// How many are taken.
        most: usize,
    },
    /// No log is kept.
    #[error("pod log: none is kept: name pod_log.file")]
    NotKept,
}

/// What a log comes to, and what its register holds instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "pod log: {path}: its {records} records come to {wanted} in {register}, found {found}: something else extended the register, or the file was \
     changed; find out what did (podseal node show names the decision), then: systemctl reboot. Nothing else makes them agree again"
)]
pub struct Disagreement {
    /// The log's file.
    pub path: PathBuf,
    /// How many records it has.
    pub records: u64,
    /// The register that it is kept in.
    pub register: Register,
    /// What that holds.
    pub found: BankDigest,
    /// What it would hold after the log's records.
    pub wanted: BankDigest,
}
