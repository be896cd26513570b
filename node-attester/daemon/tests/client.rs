//! What the attester makes of a verifier's answers: served over pinned TLS by the one whom it pins, and brought by the network process's own code,
//! so that nothing but the answer is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use podseal_node_attester::{
    client::{Client, ClientError},
    config::Verifier,
    network::{VerifierCalls, Way, serve},
};
use podseal_protocol::{
    Challenge, Digest, Limits, MacKey, Purpose,
    exchange::{Exchange, ExchangeReply, Outcome},
};
use podseal_wire::{
    ChallengeRequest, Message,
    attestation_server::{Attestation, AttestationServer},
    pinned::{SERVER_NAME, Timeouts},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData as _};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

const NODE: &str = "node-a";

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

/// A verifier's root, and the server under it.
struct Pinned {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Pinned {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn id(&self) -> Digest {
        Digest::of(&self.root.key().subject_public_key_info())
    }

    /// A client that pins this root and reaches a server which answers so.
    async fn client(&self, scripted: Scripted) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let chain = leaf.signed_by(&key, &self.root).unwrap().pem() + &self.root.pem();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key.serialize_pem()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let server = Server::builder().tls_config(tls).unwrap().add_service(AttestationServer::new(scripted));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(5) };
        let calls = VerifierCalls::new(&Verifier { address, id: self.id(), timeouts }, NODE, &Limits::DEFAULT).unwrap();
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        tokio::spawn(serve(theirs, calls, Limits::DEFAULT));
        Client::new(Way::over(ours, timeouts, Limits::DEFAULT), self.id(), NODE, Limits::DEFAULT)
    }

    fn challenge(&self, change: impl FnOnce(&mut Challenge)) -> Vec<u8> {
        let mut challenge = Challenge {
            verifier: self.id(),
            epoch: 1,
            purpose: Purpose::Release,
            node: NODE.to_owned(),
            issued: 1_000,
            expires: 1_060,
            random: [7; 32],
        };
        change(&mut challenge);
        challenge.issue(&MacKey::new([1; 32].into()))
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
