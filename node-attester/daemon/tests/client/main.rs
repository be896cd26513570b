//! What the attester makes of a verifier's answers: served over pinned TLS by the one whom it pins, and brought by the network process's own code,
//! so that nothing but the answer is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod pinned;

use pinned::Pinned;
use podseal_node_attester::client::ClientError;
use podseal_protocol::{
    Digest, Purpose,
    exchange::{Exchange, ExchangeReply, Outcome},
};
use podseal_wire::{ChallengeRequest, Message, attestation_server::Attestation};
use tonic::{Request, Response, Status};

/// Gives these bytes to whatever is asked.
struct Scripted {
    challenge: Vec<u8>,
    reply: Vec<u8>,
}

type Answer = Result<Response<Message>, Status>;

#[tonic::async_trait]
impl Attestation for Scripted {
    async fn get_challenge(&self, _: Request<ChallengeRequest>) -> Answer {
        Ok(Response::new(Message { body: self.challenge.clone() }))
    }

    async fn join(&self, _: Request<Message>) -> Answer {
        Err(Status::unimplemented("join"))
    }

    async fn activate(&self, _: Request<Message>) -> Answer {
        Err(Status::unimplemented("activate"))
    }

    async fn exchange(&self, _: Request<Message>) -> Answer {
        Ok(Response::new(Message { body: self.reply.clone() }))
    }
}

#[tokio::test]
async fn a_challenge_for_another_node_purpose_or_verifier_is_not_used() {
    let pinned = Pinned::new();
    let ask = async |challenge: Vec<u8>| {
        pinned.client(Scripted { challenge, reply: Vec::new() }).await.challenge(Purpose::Release).await.map(|fresh| fresh.bytes)
    };
    let honest = pinned.challenge(|_| {});
    assert_eq!(ask(honest.clone()).await.unwrap(), honest);
    for (changed, named) in [
        (pinned.challenge(|c| c.node = "node-b".to_owned()), "node-b"),
        (pinned.challenge(|c| c.purpose = Purpose::Join), "join, node-a"),
        (pinned.challenge(|c| c.verifier = Digest([9; 32])), "0909"),
    ] {
        let error = ask(changed).await.expect_err("it is for somebody else");
        assert!(matches!(&error, ClientError::OtherChallenge { found, .. } if found.contains(named)), "{error}");
        assert!(!error.retry(), "asking again brings no other");
    }
}

#[tokio::test]
async fn an_answer_about_other_leaves_is_not_used() {
    let pinned = Pinned::new();
    let leaves = [b"one".to_vec(), b"two".to_vec()];
    let exchange = Exchange::new(pinned.challenge(|_| {}), Vec::new(), leaves.to_vec(), Vec::new());
    let ask = async |answered: &[&[u8]]| {
        let outcome = || Outcome::Refused { reason: "policy.permit".to_owned(), audit_id: "00".to_owned() };
        let outcomes = answered.iter().map(|leaf| (Digest::of(leaf), outcome())).collect();
        let reply = ExchangeReply { outcomes, next_challenge: pinned.challenge(|_| {}) }.encode();
        pinned.client(Scripted { challenge: Vec::new(), reply }).await.exchange(&exchange).await
    };
    assert_eq!(ask(&[b"one", b"two"]).await.unwrap().outcomes.len(), 2);
    for other in [&[b"one".as_slice()][..], &[b"two", b"one"], &[b"one", b"three"], &[b"one", b"two", b"two"], &[]] {
        let error = ask(other).await.expect_err("not the leaves that were sent, in their order");
        assert!(matches!(error, ClientError::OtherLeaves), "{other:?}: {error}");
    }
}
