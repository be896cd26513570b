//! The verifier, as the attester talks to it: four calls by way of the network process, each body a message of the protocol. What comes back is
//! checked here, whoever brought it.

mod challenges;

use podseal_protocol::{
    CHALLENGE_LIFETIME, Digest, Limits, Purpose, ReceivedChallenge,
    cbor::Malformed,
    exchange::{Exchange, ExchangeReply},
    join::{Activation, ActivationReply, Join, JoinReply},
    require,
};
use std::time::Duration;
use tokio::time::Instant;

use crate::network::{
    Way,
    message::{Answer, Method},
};

pub use challenges::Challenges;

/// Why the verifier's answer is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
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

/// Calls one verifier in the name of one node. Clones share the way.
#[derive(Clone)]
pub struct Client {
    way: Way,
    verifier: Digest,
    node: String,
    limits: Limits,
}

impl Client {
    /// A client of the verifier with this identity.
    #[must_use]
    pub fn new(way: Way, verifier: Digest, node: &str, limits: Limits) -> Self {
        Self { way, verifier, node: node.to_owned(), limits }
    }

    async fn call(&self, method: Method, body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        match self.way.call(method, body).await {
            Answer::Body(body) => Ok(body),
            Answer::Away(words) => Err(ClientError::Away(words)),
            Answer::Refused(words) => Err(ClientError::Refused(words)),
        }
    }

    /// A fresh challenge.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn challenge(&self, purpose: Purpose) -> Result<Fresh, ClientError> {
        let received = self.call(Method::Challenge(purpose), Vec::new()).await?;
        self.check(received, purpose)
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
        let reply = self.call(Method::Exchange, exchange.encode()).await?;
        let reply = ExchangeReply::decode(&reply, &self.limits).map_err(|problem| ClientError::Malformed { call: "Exchange", problem })?;
        let answered: Vec<Digest> = reply.outcomes.iter().map(|(leaf, _)| *leaf).collect();
        // A node that asks for nothing is answered only where its evidence does not hold.
        let alone = exchange.leaves.is_empty() && answered == [Digest::of(&exchange.evidence)];
        let asked = exchange.leaves.iter().map(|leaf| Digest::of(leaf));
        require(alone || asked.eq(answered), ClientError::OtherLeaves)?;
        Ok(reply)
    }

    /// Asks for an activation credential.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn join(&self, join: &Join) -> Result<JoinReply, ClientError> {
        let reply = self.call(Method::Join, join.encode()).await?;
        JoinReply::decode(&reply, &self.limits).map_err(|problem| ClientError::Malformed { call: "Join", problem })
    }

    /// Proves that the AK lives in the TPM.
    ///
    /// # Errors
    /// Why the proof was not accepted.
    pub async fn activate(&self, activation: &Activation) -> Result<ActivationReply, ClientError> {
        let reply = self.call(Method::Activate, activation.encode()).await?;
        ActivationReply::decode(&reply, &self.limits).map_err(|problem| ClientError::Malformed { call: "Activate", problem })
    }
}
