//! The round: challenge, bind, collect, exchange, deliver. One quote for all leaves that wait.
//!
//! There is no timer. While one batch is quoted the leaves that come wait, and then all of them go; while that batch is on the network the
//! next one is quoted.

mod batch;

use std::{path::PathBuf, sync::Arc};

use podseal_protocol::{
    Digest, Limits, Purpose,
    binding::{BindingInputs, PodLogHead, binding},
    evidence::Evidence,
    exchange::{Exchange, Outcome},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    client::{Challenges, Client, ClientError},
    owner::{Owner, TpmError},
};
use batch::Batches;

/// The evidence profile that this attester collects: a TPM 2.0 quote and the boot log.
pub const PROFILE: &str = "tpm";

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
    pub answer: oneshot::Sender<Result<Outcome, Arc<RoundError>>>,
}

/// What rounds are made with.
pub struct Rounds {
    /// This node's registered name.
    pub node: String,
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
}

impl Rounds {
    /// Takes leaves from `queue` until it is closed.
    pub async fn run(self: Arc<Self>, queue: mpsc::Receiver<Waiting>) {
        let network = Arc::new(Semaphore::new(1));
        let mut batches = Batches::new(queue, self.limits);
        while let Some(batch) = batches.next().await {
            let exchange = self.quote(&batch).await;
            let Ok(slot) = Arc::clone(&network).acquire_owned().await else { return };
            tokio::spawn(Arc::clone(&self).exchange(batch, exchange, slot));
        }
    }

    /// Challenge, bind, collect.
    async fn quote(&self, batch: &[Waiting]) -> Result<Exchange, RoundError> {
        let challenge = self.challenges.take().await.map_err(RoundError::Challenge)?;
        let boot_id = self.boot_id()?;
        let signer = self.owner.ak_name().await.map_err(RoundError::Collect)?;
        let inputs = BindingInputs {
            challenge: challenge.digest,
            purpose: Purpose::Release,
            verifier: self.verifier,
            node: &self.node,
            signer: &signer,
            profile: PROFILE,
            boot_id: &boot_id,
            pod_log: PodLogHead::NONE,
        };
        let leaves: Vec<Vec<u8>> = batch.iter().map(|waiting| waiting.leaf.clone()).collect();
        let digests: Vec<Digest> = leaves.iter().map(|leaf| Digest::of(leaf)).collect();
        let parts = self.owner.collect(binding(&inputs, &digests)).await.map_err(RoundError::Collect)?;
        let (node, profile, pod_log) = (self.node.clone(), PROFILE.to_owned(), PodLogHead::NONE);
        let evidence = Evidence { node, profile, boot_id, pod_log, parts };
        let attachments = batch.iter().flat_map(|waiting| waiting.attachments.iter().cloned()).collect();
        Ok(Exchange::new(challenge.bytes, evidence.encode(), leaves, attachments))
    }

    /// Exchange, deliver: every leaf gets its own outcome, or the reason why there is none.
    async fn exchange(self: Arc<Self>, batch: Vec<Waiting>, exchange: Result<Exchange, RoundError>, slot: OwnedSemaphorePermit) {
        let reply = match exchange {
            Ok(exchange) => self.client.exchange(&exchange).await.map_err(RoundError::Exchange),
            Err(error) => Err(error),
        };
        drop(slot);
        match reply {
            Ok(reply) => {
                if let Err(error) = self.challenges.put(reply.next_challenge) {
                    tracing::warn!(%error, "the next challenge is not usable");
                }
                for (waiting, (_, outcome)) in batch.into_iter().zip(reply.outcomes) {
                    // Who gave up meanwhile does not take it.
                    drop(waiting.answer.send(Ok(outcome)));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for waiting in batch {
                    drop(waiting.answer.send(Err(Arc::clone(&error))));
                }
            }
        }
    }

    fn boot_id(&self) -> Result<String, RoundError> {
        let wrong = |problem: String| RoundError::BootId { path: self.boot_id.clone(), problem };
        let text = std::fs::read_to_string(&self.boot_id).map_err(|e| wrong(e.to_string()))?;
        let id = text.trim();
        if id.is_empty() || id.len() > self.limits.text {
            return Err(wrong(format!("found {} bytes, wanted 1 to {}", id.len(), self.limits.text)));
        }
        Ok(id.to_owned())
    }
}
