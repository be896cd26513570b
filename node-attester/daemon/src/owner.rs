//! The TPM's owner: one thread that alone talks to the device and writes the pod log. Jobs come by channel, one at a time: so nothing is
//! extended between the head that a quote is bound to and the quote.
//!
//! A job that fails closes the device; the next one opens it anew. So a TPM that went away and came back needs no restart. A job that
//! takes too long is given up, and the connection that it waits on is ended: so one that hangs needs none either.

mod ak;
mod ak_state;
mod job;
mod key_file;
mod machine;
mod node_key;
mod pod_log;
pub(crate) mod quote;
mod tpm;
mod wedge;

use std::{io, path::PathBuf, time::Duration};

use podseal_protocol::{
    BankDigest, Digest, Limits, Profile,
    binding::PodLogHead,
    evidence::Part,
    pod_log::{Event, Register},
};
use tokio::sync::{mpsc, oneshot};
use tss_esapi::{
    Context,
    constants::{Tss2ResponseCode, Tss2ResponseCodeKind},
};

use crate::{
    collect::CollectError,
    config::{AkKind, Evidence, Tcti},
    hardening::Exceptions,
    pod_log::{PodLogError, Table},
};
use job::{Desk, Job};

/// Jobs that may wait before a caller has to.
const WAITING: usize = 4;
/// How long making or proving the keys of an enrolment may take: a TPM of hardware needs up to a minute for one RSA key.
const ENROLMENT: Duration = Duration::from_secs(180);
/// The TPM libraries need little; the default would be 2 MiB.
const STACK: usize = 512 << 10;

/// Why the TPM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// It cannot be reached.
    #[error("TPM {tcti}: {problem}: start it, or correct tpm.tcti; the next request tries again")]
    Unreachable {
        /// Where it was looked for.
        tcti: String,
        /// What the TPM software stack said.
        problem: tss_esapi::Error,
    },
    /// A command failed.
    #[error("TPM: {step}: {problem}")]
    Command {
        /// Which step.
        step: &'static str,
        /// What TPM or software stack said.
        problem: tss_esapi::Error,
    },
    /// A reply does not verify: its HMAC under the session's key is another.
    #[error("TPM: {step}: the reply is not as the TPM sent it: find out what stands between this attester and its TPM")]
    ReplyAltered {
        /// Which step.
        step: &'static str,
    },
    /// The TPM holds no EK certificate.
    #[error("TPM: no EK certificate at NV index 0x01c00002: {problem}: this TPM cannot be enrolled without one")]
    NoEkCertificate {
        /// What the TPM said.
        problem: tss_esapi::Error,
    },
    /// The registers never agreed with the quote.
    #[error(
        "TPM: the registers read do not hash to the quoted digest, {tries} times: something extends them all the time, or a reply was altered"
    )]
    RegistersMove {
        /// How often it was tried.
        tries: u32,
    },
    /// The TPM's answer is not what the command asks for.
    #[error("TPM: {step}: the answer is not one: found {found}, wanted {wanted}")]
    Answer {
        /// Which step.
        step: &'static str,
        /// What came.
        found: String,
        /// What has to come.
        wanted: &'static str,
    },
    /// There is no attestation key yet.
    #[error("{path}: there is no attestation key: run `podseal-node-attester enroll`")]
    NotEnrolled {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The attestation key's file may be read or written by others.
    #[error("{path}: found {found}, wanted {wanted}: correct owner and mode, then enrol again if others may have had it")]
    InsecureKeyFile {
        /// Which file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// The attestation key's file is damaged.
    #[error("{path}: not an attestation key file: {problem}: remove it and enrol again")]
    DamagedKeyFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The attestation key is of another kind than the configuration says.
    #[error(
        "{path}: found an attestation key of the kind {}, wanted {} as tpm.ak says: \
         set tpm.ak to {}; only where this node is not enrolled yet, remove the file and run `podseal-node-attester enroll`", .found.as_str(), .wanted.as_str(), .found.as_str()
    )]
    OtherKeyKind {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        found: AkKind,
        /// What the configuration says.
        wanted: AkKind,
    },
    /// A file cannot be read or written.
    #[error("{path}: {problem}: correct the path or its permissions")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
    /// The boot event log is longer than is taken.
    #[error("{path}: longer than {most} bytes: this is no boot event log, or the limit is too low")]
    EventLogTooLong {
        /// Which file.
        path: PathBuf,
        /// Bytes that are taken.
        most: usize,
    },
    /// It did not answer in time.
    #[error("TPM {tcti}: no answer within {} ms: the connection was ended, and the next request opens it anew; see whether the TPM hangs, or raise limits.tpm_ms", .after.as_millis())]
    Late {
        /// Where it is.
        tcti: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// Hardware other than a TPM gave no evidence.
    #[error(transparent)]
    Hardware(#[from] CollectError),
    /// The machine has no randomness.
    #[error("randomness: the cryptographic library has none: see `dmesg`")]
    Randomness,
    /// The pod log is not to be had, or does not agree with its register.
    #[error(transparent)]
    PodLog(#[from] PodLogError),
    /// The thread has ended.
    #[error("the TPM's thread has ended: restart the attester")]
    Ended,
}

impl TpmError {
    /// Names the step that a TPM command belongs to.
    pub(crate) fn at(step: &'static str) -> impl Fn(tss_esapi::Error) -> Self {
        move |problem| if is_reply_altered(&problem) { Self::ReplyAltered { step } } else { Self::Command { step, problem } }
    }

    /// TPM_RC_RETRY (TPM 2.0 Part 2, section 6.6.3): the TPM could not start the command and it may be sent again.
    fn says_retry(&self) -> bool {
        let code = match self {
            Self::Command { problem: tss_esapi::Error::Tss2Error(code), .. } => code.kind(),
            _ => None,
        };
        code == Some(Tss2ResponseCodeKind::Retry)
    }
}

/// TSS2_ESYS_RC_RSP_AUTH_FAILED, or TSS2_ESYS_RC_BAD_SEQUENCE: what flushing the command's session comes to once its reply was not accepted
/// (TCG TSS 2.0 Overview and Common Structures, 3.5). The binding shows both as numbers alone.
fn is_reply_altered(problem: &tss_esapi::Error) -> bool {
    let tss_esapi::Error::Tss2Error(Tss2ResponseCode::FormatZero(code)) = problem else { return false };
    let shown = code.to_string();
    [" 0x7001b", " 0x70007"].iter().any(|known| shown.ends_with(known))
}

/// Connects to a TPM beside the owner's thread; for what needs no owner.
///
/// # Errors
/// [`TpmError::Unreachable`].
pub fn connect(tcti: &Tcti) -> Result<Context, TpmError> {
    tpm::connect(tcti)
}

/// Evidence collected from one machine: what varies by hardware.
pub trait Collector: Send {
    /// Collects parts that are bound to `binding`.
    ///
    /// # Errors
    /// Why there is no evidence; asking again may help.
    fn collect(&mut self, binding: &Digest) -> Result<Vec<Part>, TpmError>;

    /// The register that this machine's pod log is kept in.
    fn pod_log_register(&self) -> Register;

    /// What that register holds, in its bank.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn register(&mut self) -> Result<BankDigest, TpmError>;

    /// Extends that register by a digest of its bank. Where this fails it may have been extended or not.
    ///
    /// # Errors
    /// What hardware or software stack said.
    fn extend(&mut self, digest: &BankDigest) -> Result<(), TpmError>;
}

/// What the owner works with.
#[derive(Debug, Clone)]
pub struct OwnerConfig {
    /// What proves this node.
    pub profile: Profile,
    /// Where hardware other than a TPM is asked.
    pub evidence: Evidence,
    /// How to reach the TPM.
    pub tcti: Tcti,
    /// Which kind of AK there is to be, where the configuration says so.
    pub ak: Option<AkKind>,
    /// File with the AK.
    pub ak_state: PathBuf,
    /// The firmware's event log.
    pub event_log: PathBuf,
    /// Registers to be quoted, ascending.
    pub pcrs: Vec<u8>,
    /// For reading the event log and the key file.
    pub limits: Limits,
    /// How long one piece of evidence may take, opening the TPM included.
    pub deadline: Duration,
    /// The pod log, where one is kept.
    pub pod_log: Option<PodLogFiles>,
}

/// Where the pod log is, and what its records say of the attester.
#[derive(Debug, Clone)]
pub struct PodLogFiles {
    /// The log.
    pub file: PathBuf,
    /// The kernel's boot id.
    pub boot_id: PathBuf,
    /// What this attester does without: part of the record of its start.
    pub exceptions: Exceptions,
}

/// What one piece of evidence has.
#[derive(Debug, Clone)]
pub struct Collected {
    /// Where the pod log stood: what the binding was computed with.
    pub pod_log: PodLogHead,
    /// The parts, tags ascending.
    pub parts: Vec<Part>,
}

/// What was written of the pod log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// How many of the events, from the first on.
    pub count: usize,
    /// Where the log stands then.
    pub head: PodLogHead,
}

/// A TPM's keys, as they are shown to a verifier.
#[derive(Debug, Clone)]
pub struct Identity {
    /// EK certificate, DER.
    pub ek_certificate: Vec<u8>,
    /// TPMT_PUBLIC of the EK.
    pub ek_public: Vec<u8>,
    /// TPMT_PUBLIC of the AK.
    pub ak_public: Vec<u8>,
}

/// The way to the owner's thread, which ends when the last of these is dropped.
#[derive(Clone)]
pub struct Owner {
    jobs: mpsc::Sender<Job>,
    tcti: Tcti,
    deadline: Duration,
}

impl Owner {
    /// Starts the thread; the TPM is opened by the first job.
    ///
    /// # Errors
    /// What the operating system says when it cannot start a thread.
    pub fn start(config: OwnerConfig) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(WAITING);
        let (tcti, deadline) = (config.tcti.clone(), config.deadline);
        let desk = Desk::new(config);
        std::thread::Builder::new().name("tpm-owner".to_owned()).stack_size(STACK).spawn(move || desk.work_off(queue))?;
        Ok(Self { jobs, tcti, deadline })
    }

    /// What bindings have of the node's key: of an AK its name (TPM 2.0 Part 1, section 16), loading it where it was not.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn signer(&self) -> Result<Vec<u8>, TpmError> {
        self.ask(self.deadline, Job::Signer).await
    }

    /// The key that the node is to be known by, made where there is none: TPMT_PUBLIC of an AK, SPKI of a node key, or the instance's name.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn key(&self) -> Result<Vec<u8>, TpmError> {
        self.ask(ENROLMENT, Job::Key).await
    }

    /// Lets the next evidence prove this boot anew, where that is done once.
    ///
    /// # Errors
    /// [`TpmError::Ended`], [`TpmError::Late`].
    pub async fn prove_anew(&self) -> Result<(), TpmError> {
        self.ask(self.deadline, Job::ProveAnew).await
    }

    /// The TPM's identity; makes the AK and its file where there is none. A key that is there is kept.
    ///
    /// # Errors
    /// Why there is none; [`TpmError::OtherKeyKind`] where the key is not what the configuration says.
    pub async fn enrol(&self) -> Result<Identity, TpmError> {
        self.ask(ENROLMENT, Job::Enrol).await
    }

    /// TPM2_ActivateCredential (TPM 2.0 Part 3, section 12.5): recovers the secret that was encrypted to this EK for this AK.
    ///
    /// # Errors
    /// Why it could not be recovered: a credential for another TPM or another AK, or the TPM is away.
    pub async fn activate(&self, credential: Vec<u8>, encrypted_secret: Vec<u8>) -> Result<[u8; 32], TpmError> {
        self.ask(ENROLMENT, |reply| Job::Activate { credential, encrypted_secret, reply }).await
    }

    /// Evidence bound to what `bind` makes of where the pod log stands: a quote, the boot log, and the records of the pod log from number
    /// `from` on.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn collect(&self, from: u64, bind: impl FnOnce(PodLogHead) -> Digest + Send + 'static) -> Result<Collected, TpmError> {
        let bind = Box::new(bind);
        self.ask(self.deadline, |reply| Job::Collect { from, bind, reply }).await
    }

    /// Opens the pod log of this boot, or begins it; records that the attester started, once. Returns what runs, by the records.
    ///
    /// # Errors
    /// Why there is none; [`PodLogError::Disagrees`] is for good.
    pub async fn open_pod_log(&self) -> Result<Table, TpmError> {
        self.ask(self.deadline, Job::OpenPodLog).await
    }

    /// Writes records of the pod log one after the other and extends each; no quote comes between them. Waits until that is done, however long the
    /// TPM takes.
    ///
    /// # Errors
    /// Why the first is not written. Where a later one is not, [`Recorded::count`] says so.
    pub async fn record(&self, events: Vec<Event>) -> Result<Recorded, TpmError> {
        let (reply, mut answer) = oneshot::channel();
        self.jobs.send(Job::Record { events, reply }).await.map_err(|_| TpmError::Ended)?;
        loop {
            match tokio::time::timeout(self.deadline, &mut answer).await {
                Ok(answer) => return answer.map_err(|_| TpmError::Ended)?,
                Err(_) => self.hangs(),
            }
        }
    }

    /// Ends the thread after the jobs that wait, what it loaded flushed; later jobs are errors. A process ends only after this: the TPM software
    /// stack does not bear to be cut off in the midst of a command.
    ///
    /// # Errors
    /// The TPM did not answer in time; its connection was ended.
    pub async fn end(&self) -> Result<(), TpmError> {
        self.ask(self.deadline, Job::End).await
    }

    async fn ask<T>(&self, within: Duration, job: impl FnOnce(oneshot::Sender<Result<T, TpmError>>) -> Job) -> Result<T, TpmError> {
        let (reply, answer) = oneshot::channel();
        let steps = async {
            self.jobs.send(job(reply)).await.map_err(|_| TpmError::Ended)?;
            answer.await.map_err(|_| TpmError::Ended)?
        };
        match tokio::time::timeout(within, steps).await {
            Ok(answer) => answer,
            Err(_) => {
                self.hangs();
                Err(TpmError::Late { tcti: self.tcti.to_string(), after: within })
            }
        }
    }

    /// Ends the connection that the owner's thread waits on.
    fn hangs(&self) {
        let ended = wedge::end_connections(&self.tcti);
        tracing::warn!(tcti = %self.tcti, ended, "the TPM does not answer");
    }
}
