//! `podseal.v1.Attestation`: open to all; every answer is earned by what the message proves.

use std::sync::Arc;

use podseal_appraisal::enrolment::is_node_name;
use podseal_protocol::Purpose;
use podseal_wire::{ChallengeRequest, Message, attestation_server::Attestation};
use tonic::{Code, Request, Response, Status};
use tracing::debug;

use super::{Verifier, reply};
use crate::{
    challenge, clock,
    enrol::{self, EnrolError},
    exchange::ExchangeError,
};

pub(super) struct AttestationApi(pub(super) Arc<Verifier>);

#[tonic::async_trait]
impl Attestation for AttestationApi {
    async fn get_challenge(&self, request: Request<ChallengeRequest>) -> Result<Response<Message>, Status> {
        let ChallengeRequest { node, purpose } = request.into_inner();
        let purpose = Purpose::parse(&purpose).ok_or_else(|| reply::status(Code::InvalidArgument, "challenge.purpose"))?;
        if !is_node_name(&node) {
            return Err(reply::status(Code::InvalidArgument, "challenge.node"));
        }
        let body = challenge::issue(&self.0.keys, purpose, &node, clock::now()).map_err(|e| reply::broken("issuing a challenge", e))?;
        Ok(Response::new(Message { body }))
    }

    async fn join(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        answer(enrol::join(&self.0, request.into_inner().body).await)
    }

    async fn activate(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        answer(enrol::activate(&self.0, &request.into_inner().body).await)
    }

    async fn exchange(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let reply = self.0.exchanges.answer(request.into_inner().body).await.map_err(refused)?;
        Ok(Response::new(Message { body: reply.encode() }))
    }
}

/// An exchange that gets no reply; a refused leaf is in the reply.
fn refused(error: ExchangeError) -> Status {
    match error {
        ExchangeError::Malformed(malformed) => {
            debug!(%malformed, "exchange");
            reply::status(Code::InvalidArgument, "malformed")
        }
        ExchangeError::Moving => reply::status(Code::Aborted, "moving"),
        ExchangeError::Stopping => reply::status(Code::Unavailable, "stopping"),
        ExchangeError::Commit(error) => reply::not_committed(error),
        error => reply::broken("exchange", error),
    }
}

fn answer(result: Result<Vec<u8>, EnrolError>) -> Result<Response<Message>, Status> {
    match result {
        Ok(body) => Ok(Response::new(Message { body })),
        Err(EnrolError::Malformed(malformed)) => {
            debug!(%malformed, "enrolment message");
            Err(reply::status(Code::InvalidArgument, "malformed"))
        }
        Err(EnrolError::Refused { reason, audit_id }) => Err(reply::refused(reason, &audit_id)),
        Err(EnrolError::Commit(error)) => Err(reply::not_committed(error)),
        Err(error) => Err(reply::broken("enrolment", error)),
    }
}
