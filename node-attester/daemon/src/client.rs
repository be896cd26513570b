//! The verifier, as the attester talks to it: four calls over one pinned channel, each body a message of the protocol.

mod challenges;

use podseal_protocol::{
    CHALLENGE_LIFETIME, Digest, Limits, Purpose, ReceivedChallenge,
    cbor::Malformed,
    exchange::{Exchange, ExchangeReply},
    join::{Activation, ActivationReply, Join, JoinReply},
    require,
};
use podseal_wire::{
    ChallengeRequest, Message,
    attestation_client::AttestationClient,
    pinned::{self, ConnectError},
};
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Code, Status, transport::Channel};

use crate::config::Verifier;

pub use challenges::Challenges;

/// Why the verifier's answer is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No channel can be set up.
    #[error(transparent)]
    Setup(ConnectError),
    /// It could not be reached, or has too much to do: asking again may help.
    #[error("verifier: {0}")]
    Away(String),
    /// It does not answer such a request.
    #[error("verifier: refused the call: {0}")]
    Refused(String),
    /// Its answer is not in its canonical form.
    #[error("verifier: its answer to {call} is malformed: {problem}")]
    Malformed {
        /// Which call.
        call: &'static str,
        /// What is wrong.
        problem: Malformed,
    },
    /// Its challenge is not for this node, this purpose or from this verifier.
    #[error("verifier: its challenge is for {found}, wanted one for {wanted}")]
    OtherChallenge {
        /// What it is for.
        found: String,
        /// What it has to be for.
        wanted: String,
    },
    /// Its answer is about other leaves than were sent.
    #[error("verifier: its answer is about other requests than were sent")]
    OtherLeaves,
}

impl ClientError {
    /// Whether asking again may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

/// A challenge that was checked to be for this node.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// As it was issued.
    pub bytes: Vec<u8>,
    /// `h(challenge)`.
    pub digest: Digest,
    /// When the verifier stops accepting it, by this machine's monotonic clock.
    expires: Instant,
}

/// Calls one verifier in the name of one node. Clones share the connection.
#[derive(Clone)]
pub struct Client {
    calls: AttestationClient<Channel>,
    verifier: Digest,
    node: String,
    limits: Limits,
}

impl Client {
    /// Prepares the channel; the first call connects.
    ///
    /// # Errors
    /// [`ClientError::Setup`].
    pub fn new(verifier: &Verifier, node: &str, limits: Limits) -> Result<Self, ClientError> {
        let channel = pinned::channel(&verifier.address, verifier.id, None, verifier.timeouts).map_err(ClientError::Setup)?;
        // What protobuf adds to a message of the protocol.
        let most = limits.message + 64;
        let calls = AttestationClient::new(channel).max_decoding_message_size(most).max_encoding_message_size(most);
        Ok(Self { calls, verifier: verifier.id, node: node.to_owned(), limits })
    }

    /// A fresh challenge.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn challenge(&self, purpose: Purpose) -> Result<Fresh, ClientError> {
        let request = ChallengeRequest { node: self.node.clone(), purpose: purpose.as_str().to_owned() };
        let reply = self.calls.clone().get_challenge(request).await.map_err(|status| failed(&status))?;
        self.check(reply.into_inner().body, purpose)
    }

    /// Checks that a challenge is one for this node. Whether the verifier issued it, and when, only the verifier can tell.
    fn check(&self, bytes: Vec<u8>, purpose: Purpose) -> Result<Fresh, ClientError> {
        let received = Instant::now();
        let malformed = |problem| ClientError::Malformed { call: "GetChallenge", problem };
        let challenge = ReceivedChallenge::parse(&bytes, &self.limits).map_err(malformed)?;
        let fields = challenge.fields();
        let found = (fields.verifier, fields.purpose, &fields.node);
        let wanted = (self.verifier, purpose, &self.node);
        let words = |(verifier, purpose, node): (Digest, Purpose, &String)| format!("{}, {node}, verifier {verifier}", purpose.as_str());
        require(found == wanted, ClientError::OtherChallenge { found: words(found), wanted: words(wanted) })?;
        let lifetime = fields.expires.saturating_sub(fields.issued).min(CHALLENGE_LIFETIME);
        Ok(Fresh { digest: challenge.digest(), bytes, expires: received + Duration::from_secs(lifetime) })
    }

    /// Sends an exchange; the answer has one outcome for each leaf, in their order.
    ///
    /// # Errors
    /// Why there is no answer that can be used.
    pub async fn exchange(&self, exchange: &Exchange) -> Result<ExchangeReply, ClientError> {
        let body = Message { body: exchange.encode() };
        let reply = self.calls.clone().exchange(body).await.map_err(|status| failed(&status))?.into_inner().body;
        let reply = ExchangeReply::decode(&reply, &self.limits).map_err(|problem| ClientError::Malformed { call: "Exchange", problem })?;
        let answered = reply.outcomes.iter().map(|(leaf, _)| *leaf);
        require(answered.eq(exchange.leaves.iter().map(|leaf| Digest::of(leaf))), ClientError::OtherLeaves)?;
        Ok(reply)
    }

    /// Asks for an activation credential.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn join(&self, join: &Join) -> Result<JoinReply, ClientError> {
        let reply = self.calls.clone().join(Message { body: join.encode() }).await.map_err(|status| failed(&status))?;
        JoinReply::decode(&reply.into_inner().body, &self.limits).map_err(|problem| ClientError::Malformed { call: "Join", problem })
    }

    /// Proves that the AK lives in the TPM.
    ///
    /// # Errors
    /// Why the proof was not accepted.
    pub async fn activate(&self, activation: &Activation) -> Result<ActivationReply, ClientError> {
        let reply = self.calls.clone().activate(Message { body: activation.encode() }).await.map_err(|status| failed(&status))?;
        ActivationReply::decode(&reply.into_inner().body, &self.limits)
            .map_err(|problem| ClientError::Malformed { call: "Activate", problem })
    }
}

fn failed(status: &Status) -> ClientError {
    if let Some(error) = ConnectError::beneath(status) {
        return ClientError::Away(error.to_string());
    }
    let audit_id = status.metadata().get("podseal-audit-id").and_then(|id| id.to_str().ok());
    let words = match audit_id {
        Some(id) => format!("{} (audit id {id}): ask an operator of the verifier for: podseal explain {id}", status.message()),
        None => format!("{:?}: {}", status.code(), status.message()),
    };
    match status.code() {
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::FailedPrecondition | Code::Unimplemented => {
            ClientError::Refused(words)
        }
        _ => ClientError::Away(words),
    }
}
