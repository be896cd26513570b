//! Why a command did not come to a result: found, wanted, what to do. The exit code belongs to the failure.

use std::{io, path::PathBuf};

use podseal_appraisal::{
    machine::HardwareError,
    policy::{CaseError, PolicyError, UnknownAccept},
    recheck::RecheckError,
    reference::{CaptureError, ReferenceError},
    report::Verdict,
    x509::RootError,
};
use podseal_endorsements::{FolderError, GathererError, archive::ArchiveError};
use podseal_protocol::{key::KeyError, seal::SealError};
use podseal_wire::pinned::ConnectError;
use thiserror::Error;
use tonic::{Code, Status};

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, or what was checked holds. Exit code 0.
    Holds,
    /// What was checked does not hold; the output says what. Exit code 1.
    DoesNotHold,
    /// A report's verdict. Exit codes as [`crate::report::EXIT_CODES`] says.
    Report(Verdict),
}

impl Outcome {
    /// As [`EXIT_CODES`] says.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Holds | Self::Report(Verdict::Verified) => 0,
            Self::DoesNotHold => 1,
            Self::Report(Verdict::Refused) => 2,
            Self::Report(Verdict::Rejected) => 3,
            Self::Report(Verdict::Incomplete) => 4,
            Self::Report(Verdict::Malformed) => 5,
        }
    }

    /// The outcome of a check.
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::DoesNotHold }
    }
}

/// Shown below every command's help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; what was checked holds
  1  what was checked does not hold
  2  usage, configuration or a local file
  3  the verifier cannot be reached, is not the pinned one, or failed
  4  the verifier refused
  5  the verifier has nothing of that name";

/// Header in which the verifier's stable reason stands.
const REASON: &str = "podseal-reason";

/// Why there is no result.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("no verifier is configured: give --config, or --address and --verifier, or write {}", wanted_config(.default))]
    NoConfig { default: Option<PathBuf> },
    #[error(
        "{path}: {problem}: wanted [verifier] with address and id and, for an administrator, [admin] with certificate and key \
         (docs/OPERATING.md)"
    )]
    Config { path: PathBuf, problem: String },
    #[error("{path}: found mode {found:04o}, wanted 0600 or narrower: run chmod 0600 {path}, and replace the key if others could read it")]
    KeyMode { path: PathBuf, found: u32 },
    #[error("{path}: {error}: correct the path")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path}: found more than {most} bytes, wanted at most that: is it the right file?")]
    TooLong { path: PathBuf, most: u64 },
    #[error("{path}: found bytes that are not UTF-8, wanted a text file: is it the right file?")]
    NotText { path: PathBuf },
    #[error("{path}: {error}: choose a place that can be written")]
    Write { path: PathBuf, error: io::Error },
    #[error("standard output: {0}: see where the output goes")]
    Output(io::Error),
    #[error("{option}: found {found:?}, wanted {wanted}")]
    Option { option: &'static str, found: String, wanted: String },
    #[error(
        "standard input is a terminal, which would show the value: give --file, or pipe the value in (pass show db | podseal secret put …)"
    )]
    Terminal,
    #[error("the value: found {found} bytes, wanted 1 to {most}")]
    ValueLength { found: String, most: usize },
    #[error("{path}: {error}")]
    Policy { path: PathBuf, error: PolicyError },
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error("{folder}: found no case (*.json), wanted at least one: a policy is tested by what it releases and by what it refuses")]
    NoCases { folder: PathBuf },
    #[error("--accept: {0}")]
    Accept(#[from] UnknownAccept),
    #[error("{path}: {error}")]
    Reference { path: PathBuf, error: ReferenceError },
    #[error("{path}: {error}")]
    Capture { path: PathBuf, error: CaptureError },
    #[error("{path}: {error}")]
    Hardware { path: PathBuf, error: HardwareError },
    #[error(
        "{path}: found bytes that are neither an SEV-SNP report, nor a TDX quote, nor an HCL report: give one, as podseal-node-attester doctor --evidence --save writes it"
    )]
    Launch { path: PathBuf },
    #[error("--event-log and --launch: found neither, wanted one or both")]
    NothingToCapture,
    #[error("--roots: {0}")]
    Roots(#[from] RootError),
    #[error("{path}: found a folder within a folder, wanted files: give it as an argument of its own")]
    Nested { path: PathBuf },
    #[error("{path}: found a pipe, socket or device, or a link to nothing, wanted a file: remove it from the folder")]
    NoFile { path: PathBuf },
    #[error("nothing was judged: {0}")]
    NothingJudged(Box<Failure>),
    #[error(transparent)]
    Endorsements(#[from] FolderError),
    #[error(transparent)]
    Gatherer(#[from] GathererError),
    #[error("{path}: {error}")]
    Archive { path: PathBuf, error: ArchiveError },
    #[error("the operating system gives no randomness: see whether /dev/urandom works")]
    Randomness,
    #[error("the operating system gives no event queue: {0}: see the limit on open files (ulimit -n)")]
    Runtime(io::Error),
    #[error("the log does not verify, so there is no telling which entries are missing: run podseal log verify")]
    LogDoesNotVerify,
    #[error("nothing to draft from {audit_id}: {error}")]
    NoDraft { audit_id: String, error: RecheckError },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the verifier's answer: {what}: found {found}, wanted {wanted}: compare the versions of podseal and podseal-verifier")]
    Answer { what: &'static str, found: String, wanted: &'static str },
    #[error("the verifier's {what} key: {error}")]
    Key { what: &'static str, error: KeyError },
    #[error("sealing to the verifier's import key: {0}")]
    Seal(#[from] SealError),
    #[error("the verifier did not do it: {message} ({code:?}): try again, then read its log")]
    Unanswered { code: Code, message: String },
    #[error(
        "the verifier takes no administrator from this client: found no certificate of an administrator, wanted one whose key stands under \
         [[admin]] in the verifier's configuration: give --certificate and --key, or add the key there"
    )]
    NotHeard,
    #[error("refused: {message} ({code:?})")]
    Refused { code: Code, message: String },
    #[error("not found: {message}")]
    NotFound { message: String },
}

fn wanted_config(default: &Option<PathBuf>) -> String {
    default.as_ref().map_or_else(|| "a configuration file".to_owned(), |path| path.display().to_string())
}

impl Failure {
    /// As [`EXIT_CODES`] says.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::LogDoesNotVerify | Self::NoDraft { .. } | Self::NothingJudged(_) => 1,
            Self::NoConfig { .. }
            | Self::Config { .. }
            | Self::KeyMode { .. }
            | Self::Read { .. }
            | Self::TooLong { .. }
            | Self::NotText { .. }
            | Self::Write { .. }
            | Self::Output(_)
            | Self::Option { .. }
            | Self::Terminal
            | Self::ValueLength { .. }
            | Self::Policy { .. }
            | Self::Case(_)
            | Self::NoCases { .. }
            | Self::Accept(_)
            | Self::Reference { .. }
            | Self::Capture { .. }
            | Self::Hardware { .. }
            | Self::Launch { .. }
            | Self::NothingToCapture
            | Self::Roots(_)
            | Self::Nested { .. }
            | Self::NoFile { .. }
            | Self::Endorsements(_)
            | Self::Gatherer(_)
            | Self::Archive { .. }
            | Self::Randomness
            | Self::Runtime(_)
            | Self::Connect(ConnectError::Address(_) | ConnectError::Identity(_)) => 2,
            Self::Connect(_) | Self::Answer { .. } | Self::Key { .. } | Self::Seal(_) | Self::Unanswered { .. } => 3,
            Self::NotHeard | Self::Refused { .. } => 4,
            Self::NotFound { .. } => 5,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        if let Some(error) = ConnectError::beneath(&status) {
            return Self::Connect(error);
        }
        let (code, message) = (status.code(), status.message().to_owned());
        // What a change is about may be missing too: the stable reason says so.
        let unknown = status.metadata().get(REASON).is_some_and(|reason| reason.as_bytes().ends_with(b".unknown"));
        match code {
            Code::Unauthenticated => Self::NotHeard,
            Code::FailedPrecondition if unknown => Self::NotFound { message },
            Code::NotFound => Self::NotFound { message },
            Code::PermissionDenied
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::Aborted
            | Code::OutOfRange
            | Code::ResourceExhausted => Self::Refused { code, message },
            _ => Self::Unanswered { code, message },
        }
    }
}
