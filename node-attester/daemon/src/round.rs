//! The round: challenge, bind, collect, exchange, deliver. One quote for all leaves that wait.
//!
//! While one batch is quoted the leaves that come wait, and then all of them go, together with those that are on their way by then; while that
//! batch is on the network the next one is quoted. A leaf that comes alone waits for nothing. A node that was asked for nothing for a while attests
//! by itself.

mod arrivals;
mod attest;
mod batch;
mod resend;

use std::{path::PathBuf, sync::Arc};

use podseal_protocol::{
    Digest, Limits, Profile, Purpose,
    binding::{BindingInputs, binding},
    evidence::Evidence,
    exchange::{Exchange, ExchangeReply, Outcome},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    boot_id,
    client::{Challenges, Client, ClientError},
    owner::{Collected, Owner, TpmError},
    pod_log::PodLogError,
};
pub use arrivals::{Arrival, Arrivals};
pub use attest::Attest;
use attest::Schedule;
use batch::Batches;
pub use resend::Replayed;
pub(crate) use resend::is_late;
use resend::{Since, asks_for_all, asks_for_proof, came_late};

/// Why a leaf has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// There is no challenge to answer.
    #[error("challenge: {0}")]
    Challenge(ClientError),
    /// The boot id cannot be read.
    #[error("{path}: {problem}: correct node.boot_id")]
    BootId {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The TPM gave no evidence.
    #[error("collect: {0}")]
    Collect(TpmError),
    /// The verifier did not answer the exchange.
    #[error("exchange: {0}")]
    Exchange(ClientError),
}

impl RoundError {
    /// Stable code for the launcher.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Challenge(e) | Self::Exchange(e) if e.retry() => "verifier.away",
            Self::Challenge(_) | Self::Exchange(_) => "verifier.refused_call",
            Self::Collect(TpmError::ReplyAltered { .. }) => "tpm.reply_altered",
            Self::Collect(TpmError::PodLog(PodLogError::Disagrees { .. })) => "node.pod_log_disagrees",
            Self::Collect(TpmError::PodLog(PodLogError::TooLong { .. })) => "node.pod_log_too_long",
            Self::BootId { .. } | Self::Collect(_) => "node.no_evidence",
        }
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        match self {
            Self::Challenge(e) | Self::Exchange(e) => e.retry(),
            // Somebody stands between attester and TPM: waiting for him to go is no answer.
            Self::Collect(TpmError::ReplyAltered { .. }) => false,
            Self::Collect(TpmError::PodLog(PodLogError::Disagrees { .. } | PodLogError::TooLong { .. })) => false,
            Self::BootId { .. } | Self::Collect(_) => true,
        }
    }
}

/// A leaf that waits for its outcome.
pub struct Waiting {
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The bytes whose digests it names.
    pub attachments: Vec<Vec<u8>>,
    /// Where the outcome goes. Many wait for one round, so they share its error.
    pub answer: oneshot::Sender<Answer>,
}

/// What rounds are made with.
pub struct Rounds {
    /// This node's registered name.
    pub node: String,
    /// What proves it.
    pub profile: Profile,
    /// Identity of the verifier.
    pub verifier: Digest,
    /// File with the kernel's boot id.
    pub boot_id: PathBuf,
    /// The TPM.
    pub owner: Owner,
    /// The verifier.
    pub client: Client,
    /// The challenge at hand.
    pub challenges: Arc<Challenges>,
    /// For one exchange.
    pub limits: Limits,
    /// Leaves that are on their way.
    pub arrivals: Arrivals,
    /// How much of the pod log this verifier has.
    pub replayed: Replayed,
    /// How long the node is silent at most.
    pub attest: Attest,
}

/// An exchange, and from where on it has the pod log.
struct Quoted {
    exchange: Exchange,
    from: Since,
}

impl Rounds {
    /// Takes leaves from `queue` until it is closed; attests at once, and then whenever there were none for long.
    pub async fn run(self: Arc<Self>, queue: mpsc::Receiver<Waiting>) {
        let network = Arc::new(Semaphore::new(1));
        let mut batches = Batches::new(queue, self.arrivals.clone(), self.limits);
        let mut schedule = Schedule::of(&self.node, &self.attest);
        loop {
            let batch = tokio::select! {
                biased;
                batch = batches.next(self.replayed.room()) => match batch {
                    Some(batch) => batch,
                    None => return,
                },
                () = schedule.due(&self.attest) => Vec::new(),
            };
            schedule.attested();
            let quoted = self.quote(&batch).await;
            let Ok(slot) = Arc::clone(&network).acquire_owned().await else { return };
            tokio::spawn(Arc::clone(&self).exchange(batch, quoted, slot));
        }
    }

    /// Challenge, bind, collect.
    async fn quote(&self, batch: &[Waiting]) -> Result<Quoted, RoundError> {
        let challenge = self.challenges.take().await.map_err(RoundError::Challenge)?;
        let boot_id = self.boot_id()?;
        let signer = self.owner.signer().await.map_err(RoundError::Collect)?;
        let leaves: Vec<Vec<u8>> = batch.iter().map(|waiting| waiting.leaf.clone()).collect();
        let digests: Vec<Digest> = leaves.iter().map(|leaf| Digest::of(leaf)).collect();
        let (node, boot, verifier, profile) = (self.node.clone(), boot_id.clone(), self.verifier, self.profile.as_str());
        let from = self.replayed.since();
        let collected = self.owner.collect(from.number, move |pod_log| {
            let inputs = BindingInputs {
                challenge: challenge.digest,
                purpose: Purpose::Release,
                verifier,
                node: &node,
                signer: &signer,
                profile,
                boot_id: &boot,
                pod_log,
            };
            binding(&inputs, &digests)
        });
        let Collected { pod_log, parts } = collected.await.map_err(RoundError::Collect)?;
        self.replayed.sending(from, &parts, pod_log.length);
        let evidence = Evidence { node: self.node.clone(), profile: profile.to_owned(), boot_id, pod_log, parts };
        let attachments = batch.iter().flat_map(|waiting| waiting.attachments.iter().cloned()).collect();
        Ok(Quoted { exchange: Exchange::new(challenge.bytes, evidence.encode(), leaves, attachments), from })
    }

    /// Exchange, deliver: every leaf gets its own outcome, or the reason why there is none. Leaves of which it says only that they came
    /// late, or that it wants all of the pod log, are asked for once more.
    async fn exchange(self: Arc<Self>, batch: Vec<Waiting>, quoted: Result<Quoted, RoundError>, slot: OwnedSemaphorePermit) {
        let reply = self.ask_in_time(&batch, quoted).await;
        if batch.is_empty() {
            return self.attested(reply, slot).await;
        }
        let (again, batch): (Vec<_>, Vec<_>) = pair(batch, reply).into_iter().partition(|(_, answer)| answer.as_ref().is_ok_and(came_late));
        hand_out(batch);
        if again.is_empty() {
            return drop(slot);
        }
        tracing::info!(leaves = again.len(), "asked for once more, under the newest challenge");
        let again: Vec<Waiting> = again.into_iter().map(|(waiting, _)| waiting).collect();
        let quoted = self.quote(&again).await;
        let reply = self.ask(quoted).await;
        drop(slot);
        hand_out(pair(again, reply));
    }

    /// What was quoted while the verifier forgot is quoted anew.
    async fn ask_in_time(&self, batch: &[Waiting], quoted: Result<Quoted, RoundError>) -> Result<ExchangeReply, RoundError> {
        match quoted {
            Ok(quoted) if !self.replayed.is_current(quoted.from) => self.ask(self.quote(batch).await).await,
            quoted => self.ask(quoted).await,
        }
    }

    async fn ask(&self, quoted: Result<Quoted, RoundError>) -> Result<ExchangeReply, RoundError> {
        let Quoted { exchange, .. } = quoted?;
        let reply = self.client.exchange(&exchange).await.inspect_err(|_| self.replayed.forget()).map_err(RoundError::Exchange)?;
        if let Err(error) = self.challenges.put(reply.next_challenge.clone()) {
            tracing::warn!(%error, "the next challenge is not usable");
        }
        if reply.outcomes.iter().any(|(_, outcome)| asks_for_all(outcome)) {
            self.replayed.forget();
        }
        if reply.outcomes.iter().any(|(_, outcome)| asks_for_proof(outcome)) {
            self.owner.prove_anew().await.map_err(RoundError::Collect)?;
        }
        Ok(reply)
    }

    fn boot_id(&self) -> Result<String, RoundError> {
        boot_id::read(&self.boot_id, &self.limits).map_err(|problem| RoundError::BootId { path: self.boot_id.clone(), problem })
    }
}

type Answer = Result<Outcome, Arc<RoundError>>;

/// Each leaf with its own outcome; they share the reason why there is none.
fn pair(batch: Vec<Waiting>, reply: Result<ExchangeReply, RoundError>) -> Vec<(Waiting, Answer)> {
    match reply {
        Ok(reply) => batch.into_iter().zip(reply.outcomes.into_iter().map(|(_, outcome)| Ok(outcome))).collect(),
        Err(error) => {
            let error = Arc::new(error);
            batch.into_iter().map(|waiting| (waiting, Err(Arc::clone(&error)))).collect()
        }
    }
}

/// Who gave up meanwhile does not take it.
fn hand_out(batch: Vec<(Waiting, Answer)>) {
    for (waiting, answer) in batch {
        drop(waiting.answer.send(answer));
    }
}
