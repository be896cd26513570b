//! The verifier's interface as the network process calls it: over one pinned channel, bodies as they come.

use podseal_protocol::Limits;
use podseal_wire::{
    ChallengeRequest, Message,
    attestation_client::AttestationClient,
    pinned::{self, ConnectError},
};
use tonic::{Code, Status, transport::Channel};

use super::message::{Answer, Method};
use crate::config::Verifier;

/// Calls one verifier in the name of one node. Clones share the connection.
#[derive(Clone)]
pub struct VerifierCalls {
    calls: AttestationClient<Channel>,
    node: String,
}

impl VerifierCalls {
    /// Prepares the channel; the first call connects.
    ///
    /// # Errors
    /// When no channel can be set up.
    pub fn new(verifier: &Verifier, node: &str, limits: &Limits) -> Result<Self, ConnectError> {
        let channel = pinned::channel(&verifier.address, verifier.id, None, verifier.timeouts)?;
        // What protobuf adds to a message of the protocol.
        let most = limits.message + 64;
        let calls = AttestationClient::new(channel).max_decoding_message_size(most).max_encoding_message_size(most);
        Ok(Self { calls, node: node.to_owned() })
    }

    pub(super) async fn call(&self, method: Method, body: Vec<u8>) -> Answer {
        let mut calls = self.calls.clone();
        let body = Message { body };
        let answered = match method {
            Method::Challenge(purpose) => {
                calls.get_challenge(ChallengeRequest { node: self.node.clone(), purpose: purpose.as_str().to_owned() }).await
            }
            Method::Exchange => calls.exchange(body).await,
            Method::Join => calls.join(body).await,
            Method::Activate => calls.activate(body).await,
        };
        answered.map_or_else(|status| failed(&status), |reply| Answer::Body(reply.into_inner().body))
    }
}

fn failed(status: &Status) -> Answer {
    if let Some(error) = ConnectError::beneath(status) {
        return Answer::Away(error.to_string());
    }
    let audit_id = status.metadata().get("podseal-audit-id").and_then(|id| id.to_str().ok());
    let words = match audit_id {
        Some(id) => format!("{} (audit id {id}): ask an operator of the verifier for: podseal explain {id}", status.message()),
        None => format!("{:?}: {}", status.code(), status.message()),
    };
    match status.code() {
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::FailedPrecondition | Code::Unimplemented => {
            Answer::Refused(words)
        }
        _ => Answer::Away(words),
    }
}
