//! What the owner's thread does, job by job.

use podseal_protocol::{
    BankDigest, Digest, Limits,
    binding::PodLogHead,
    evidence::Part,
    pod_log::{Event, REGISTER},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Collected, Identity, OwnerConfig, PodLogFiles, Recorded, TpmError,
    machine::{self, Machine},
};
use crate::{
    boot_id,
    pod_log::{Log, PodLogError, Table},
};

type Reply<T> = oneshot::Sender<Result<T, TpmError>>;
type Bind = Box<dyn FnOnce(PodLogHead) -> Digest + Send>;

pub(super) enum Job {
    Signer(Reply<Vec<u8>>),
    Key(Reply<Vec<u8>>),
    ProveAnew(Reply<()>),
    Enrol(Reply<Identity>),
    Activate {
        credential: Vec<u8>,
        encrypted_secret: Vec<u8>,
        reply: Reply<[u8; 32]>,
    },
    Collect {
        from: u64,
        bind: Bind,
        reply: Reply<Collected>,
    },
    OpenPodLog(Reply<Table>),
    Record {
        events: Vec<Event>,
        reply: Reply<Recorded>,
    },
    /// The last one.
    End(Reply<()>),
}

impl Job {
    /// Whether whoever asked has given up. A record is written all the same: what happened has happened.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Signer(reply) | Self::Key(reply) => reply.is_closed(),
            Self::Enrol(reply) => reply.is_closed(),
            Self::Activate { reply, .. } => reply.is_closed(),
            Self::Collect { reply, .. } => reply.is_closed(),
            Self::OpenPodLog(reply) => reply.is_closed(),
            Self::ProveAnew(_) | Self::Record { .. } | Self::End(_) => false,
        }
    }
}

/// The hardware and the pod log, each opened by the first job that needs it.
pub(super) struct Desk {
    machine: Box<dyn Machine>,
    pod_log: Option<PodLogFiles>,
    log: Option<Log>,
    limits: Limits,
}

impl Desk {
    pub(super) fn new(mut config: OwnerConfig) -> Self {
        let pod_log = config.pod_log.take();
        if pod_log.is_some() && !config.pcrs.contains(&REGISTER) {
            config.pcrs.push(REGISTER);
            config.pcrs.sort_unstable();
        }
        let limits = config.limits;
        Self { machine: machine::of(config), pod_log, log: None, limits }
    }

    /// Does jobs until the last one; then the device is closed before that is answered.
    pub(super) fn work_off(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            match job {
                Job::End(reply) => {
                    drop(self);
                    drop(reply.send(Ok(())));
                    return;
                }
                job => self.work(job),
            }
        }
    }

    /// Does one job, unless whoever asked has given up: the device is slow. Whoever gives up while it is done does not take the answer.
    fn work(&mut self, job: Job) {
        if job.is_given_up() {
            return;
        }
        match job {
            Job::Signer(reply) => drop(reply.send(self.machine.signer())),
            Job::Key(reply) => drop(reply.send(self.machine.key())),
            Job::ProveAnew(reply) => {
                self.machine.prove_anew();
                drop(reply.send(Ok(())));
            }
            Job::Enrol(reply) => drop(reply.send(self.machine.enrol())),
            Job::Activate { credential, encrypted_secret, reply } => {
                drop(reply.send(self.machine.activate(&credential, &encrypted_secret)));
            }
            Job::Collect { from, bind, reply } => drop(reply.send(self.collect(from, bind))),
            Job::OpenPodLog(reply) => drop(reply.send(self.opened().and_then(|(log, _)| Ok(log.sound().map(|()| log.table().clone())?)))),
            // `work_off` has taken it.
            Job::End(_) => {}
            Job::Record { events, reply } => drop(reply.send(self.record(events))),
        }
    }

    fn collect(&mut self, from: u64, bind: Bind) -> Result<Collected, TpmError> {
        if self.pod_log.is_none() {
            let pod_log = PodLogHead::NONE;
            return Ok(Collected { pod_log, parts: self.machine.collect(&bind(pod_log))? });
        }
        let limits = self.limits;
        let (log, machine) = self.opened()?;
        // One that disagrees is shown as it is: the verifier says so, and keeps it.
        match log.settle(machine) {
            Ok(()) | Err(TpmError::PodLog(PodLogError::Disagrees { .. })) => {}
            Err(error) => return Err(error),
        }
        let pod_log = log.head();
        let mut parts = machine.collect(&bind(pod_log))?;
        if let Some(Err(error)) = quoted(&parts).map(|register| log.agrees(&register)) {
            tracing::error!(%error, "the verifier will refuse this");
        }
        let (from, records) = log.records(from, &limits)?;
        parts.push(Part::PodLog { from, records });
        parts.sort_by_key(Part::tag);
        Ok(Collected { pod_log, parts })
    }

    /// As far as it goes: where the first of them is not written, this is why.
    fn record(&mut self, events: Vec<Event>) -> Result<Recorded, TpmError> {
        let (log, machine) = self.opened()?;
        let mut recorded = Recorded { count: 0, head: log.head() };
        for event in events {
            match log.record(event, machine) {
                Ok(head) => recorded = Recorded { count: recorded.count + 1, head },
                Err(error) if recorded.count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(recorded)
    }

    fn opened(&mut self) -> Result<(&mut Log, &mut dyn Machine), TpmError> {
        let log = match self.log.take() {
            Some(log) => log,
            None => {
                let PodLogFiles { file, boot_id: path, exceptions } = self.pod_log.as_ref().ok_or(PodLogError::NotKept)?;
                let boot_id = boot_id::read(path, &self.limits).map_err(|problem| PodLogError::BootId { path: path.clone(), problem })?;
                Log::open(file, &boot_id, exceptions, &self.limits, self.machine.as_mut())?
            }
        };
        Ok((self.log.insert(log), self.machine.as_mut()))
    }
}

/// The pod log's register, as a quote covers it.
fn quoted(parts: &[Part]) -> Option<BankDigest> {
    parts.iter().find_map(|part| match part {
        Part::TpmQuote { pcrs, .. } => pcrs.iter().find(|(index, _)| *index == REGISTER).map(|(_, value)| (*value).into()),
        _ => None,
    })
}
