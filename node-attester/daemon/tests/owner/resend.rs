//! Rounds with a pod log: each verifier gets what it does not have, and everything when it asks for that.

use std::sync::{Arc, Mutex};

use podseal_node_attester::{
    client::Challenges,
    round::{Arrivals, Attest, Replayed, RoundError, Rounds, Waiting},
};
use podseal_protocol::{
    Digest, Limits, Profile, Purpose, ReceivedChallenge,
    binding::{BindingInputs, binding},
    evidence::{Evidence, Part},
    exchange::{Exchange, ExchangeReply, Outcome},
    pod_log::{Event, Records, Register},
};
use podseal_wire::{ChallengeRequest, Message, attestation_server::Attestation};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use super::{pinned::Pinned, pod_log::Machine};

const DELIVERED: &[u8] = b"a delivery";

/// A verifier that says to each exchange what it was told to say, and keeps what came.
struct Scripted {
    pinned: Arc<Pinned>,
    reasons: Mutex<Vec<Option<&'static str>>>,
    came: Arc<Mutex<Vec<Exchange>>>,
    challenges: Mutex<u8>,
}

impl Scripted {
    fn challenge(&self) -> Vec<u8> {
        let mut next = self.challenges.lock().unwrap();
        *next += 1;
        self.pinned.challenge(|challenge| challenge.random = [*next; 32])
    }
}

#[tonic::async_trait]
impl Attestation for Scripted {
    async fn get_challenge(&self, _: Request<ChallengeRequest>) -> Result<Response<Message>, Status> {
        Ok(Response::new(Message { body: self.challenge() }))
    }

    async fn join(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Err(Status::unimplemented("join"))
    }

    async fn activate(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Err(Status::unimplemented("activate"))
    }

    async fn exchange(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let exchange = Exchange::decode(&request.into_inner().body, &Limits::DEFAULT).unwrap();
        let outcome = match self.reasons.lock().unwrap().remove(0) {
            Some(reason) => Outcome::Refused { reason: reason.to_owned(), audit_id: String::new() },
            None => Outcome::Delivered(DELIVERED.to_vec()),
        };
        let outcomes = exchange.leaves.iter().map(|leaf| (Digest::of(leaf), outcome.clone())).collect();
        self.came.lock().unwrap().push(exchange);
        Ok(Response::new(Message { body: ExchangeReply { next_challenge: self.challenge(), outcomes }.encode() }))
    }
}

/// What a leaf hears.
async fn ask(queue: &mpsc::Sender<Waiting>, leaf: &[u8]) -> Result<Outcome, Arc<RoundError>> {
    let (answer, outcome) = oneshot::channel();
    queue.send(Waiting { leaf: leaf.to_vec(), attachments: Vec::new(), answer }).await.expect("rounds run");
    outcome.await.unwrap()
}

/// From which record on an exchange has the log, and how long that is; it is bound to just that.
fn brought(exchange: &Exchange, pinned: &Pinned, signer: &[u8]) -> (u64, u64) {
    let evidence = Evidence::decode(&exchange.evidence, &Limits::DEFAULT).unwrap();
    let [Part::TpmQuote { attest, .. }, Part::BootLog(_), Part::PodLog { from, records }] = evidence.parts.as_slice() else { panic!() };
    let inputs = BindingInputs {
        challenge: ReceivedChallenge::parse(&exchange.challenge, &Limits::DEFAULT).unwrap().digest(),
        purpose: Purpose::Release,
        verifier: pinned.id(),
        node: &evidence.node,
        signer,
        profile: &evidence.profile,
        boot_id: &evidence.boot_id,
        pod_log: evidence.pod_log,
    };
    let bound = binding(&inputs, &exchange.leaves.iter().map(|leaf| Digest::of(leaf)).collect::<Vec<_>>());
    assert!(attest.windows(32).any(|w| w == bound.as_ref()), "the quote is bound to this head and these leaves");
    let last = Records::new(records, *from, Register::TPM, &Limits::DEFAULT).last().map_or(*from, |record| record.unwrap().0.number + 1);
    assert_eq!(last, evidence.pod_log.length);
    (*from, last)
}

#[tokio::test]
async fn only_what_is_new_is_sent_until_the_verifier_wants_all() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    let pinned = Arc::new(Pinned::new());
    let (came, resend) = (Arc::new(Mutex::new(Vec::new())), Some("pod_log.resend"));
    let script = vec![Some("policy.permit"), None, resend, None, resend, resend, None];
    let scripted =
        Scripted { pinned: Arc::clone(&pinned), reasons: Mutex::new(script), came: Arc::clone(&came), challenges: Mutex::default() };
    let client = pinned.client(scripted).await;
    let rounds = Rounds {
        profile: Profile::Tpm,
        node: "node-a".to_owned(),
        verifier: pinned.id(),
        boot_id: machine.path("boot_id"),
        owner: owner.clone(),
        client: client.clone(),
        challenges: Arc::new(Challenges::new(client)),
        limits: Limits::DEFAULT,
        arrivals: Arrivals::default(),
        replayed: Replayed::default(),
        attest: Attest::within(std::time::Duration::from_secs(900)),
    };
    let (queue, waiting) = mpsc::channel(4);
    tokio::spawn(Arc::new(rounds).run(waiting));

    let refused = |outcome: &Outcome| if let Outcome::Refused { reason, .. } = outcome { reason.clone() } else { String::new() };
    let mut heard = Vec::new();
    for leaf in [b"1", b"2", b"3", b"4", b"5"] {
        heard.push(refused(&ask(&queue, leaf).await.unwrap()));
        owner.record(vec![Event::Interrupted]).await.unwrap();
    }
    // Any decision shows that what was sent was replayed. A verifier that wants all twice in a row is not asked a third time.
    assert_eq!(heard, ["policy.permit", "", "", "pod_log.resend", ""]);
    let signer = owner.signer().await.unwrap();
    let came = came.lock().unwrap();
    let brought: Vec<_> = came.iter().map(|exchange| brought(exchange, &pinned, &signer)).collect();
    assert_eq!(brought, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (0, 4), (0, 5)]);
    assert_eq!(came[2].leaves, came[3].leaves, "the same leaves");
    assert!(came.windows(2).all(|two| two[0].challenge != two[1].challenge), "each under a challenge of its own");
}
