//! Enrolment, waiting part: look up what the appraisal needs, make the credential where a TPM alone has to prove itself, and in the second
//! step take the node in.

use podseal_appraisal::{
    check::{Check, Checks, first_obstacle},
    enrolment::{self, Candidate, TokenFound, appraise_join},
    explanation::Explanation,
    machine::{self, Gathered},
    rules,
    tpm::credential::{CredentialError, CredentialRandomness, make_credential},
};
use podseal_protocol::{
    Digest, Limits, MacKey, ReceivedChallenge,
    cbor::Malformed,
    evidence::Evidence,
    join::{Activation, ActivationReply, Join, JoinReply, Proof, activation_secret, is_activation_secret},
};
use thiserror::Error;
use tracing::info;

use crate::{
    api::Verifier,
    challenge, clock,
    endorsed::gathered,
    in_force::InForceError,
    random::{self, NoRandomness},
    rejections::Rejection,
    release::CommitError,
    store::{
        challenges::Spend,
        clusters,
        mutation::{ChangeError, Conflict, Enrolment, Mutation},
        nodes,
    },
};

/// Why a node was not enrolled.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// Not a message in its canonical form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A check did not pass.
    #[error("enrolment refused: {reason} ({audit_id})")]
    Refused {
        /// Name of the first check that did not pass.
        reason: &'static str,
        /// Under which an operator finds the checks.
        audit_id: String,
    },
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// What decisions rest on cannot be read.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// Committing failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// No credential could be made.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// A request with what belongs to it.
struct Request {
    bytes: Vec<u8>,
    join: Join,
    challenge: ReceivedChallenge,
    token: Option<Digest>,
}

impl Request {
    fn parse(bytes: Vec<u8>) -> Result<Self, Malformed> {
        let join = Join::decode(&bytes, &Limits::DEFAULT)?;
        let challenge = ReceivedChallenge::parse(&join.challenge, &Limits::DEFAULT)?;
        let token = (!join.token.is_empty()).then(|| Digest::of(join.token.as_bytes()));
        Ok(Self { bytes, join, challenge, token })
    }
}

/// First step: appraises the request and answers with a credential that only the right TPM opens. Nothing is written.
///
/// # Errors
/// [`EnrolError`].
pub async fn join(verifier: &Verifier, bytes: Vec<u8>) -> Result<Vec<u8>, EnrolError> {
    let request = Request::parse(bytes)?;
    if let Proof::Evidence(_) = request.join.proof {
        let mut checks = Checks::owing(&[]);
        checks.record(&enrolment::PROFILE, false, "an EK certificate: a request with evidence is activated at once", "evidence");
        return Err(refuse(verifier, &request, checks.finish(), enrolment::PROFILE.name)?);
    }
    let (_, candidate) = appraise(verifier, &request, None).await?;
    let Some((ek, ak)) = candidate.tpm() else {
        return Err(refuse(verifier, &request, Vec::new(), enrolment::PROFILE.name)?);
    };
    let Some(key) = verifier.keys.mac(request.challenge.fields().epoch) else {
        return Err(refuse(verifier, &request, Vec::new(), rules::CHALLENGE_ISSUED.name)?);
    };
    let secret = zeroize::Zeroizing::new(activation_secret(key, &request.bytes));
    let randomness = CredentialRandomness { seed: random::bytes()?, salt: random::bytes()? };
    let credential = make_credential(ek.public(), ak.name(), &*secret, &randomness)?;
    Ok(JoinReply { credential: credential.id_object, encrypted_secret: credential.encrypted_secret }.encode())
}

/// Second step: appraises everything anew, and takes the node in where the secret is the right one. A request whose evidence proves it has
/// this step alone.
///
/// # Errors
/// [`EnrolError`].
pub async fn activate(verifier: &Verifier, bytes: &[u8]) -> Result<Vec<u8>, EnrolError> {
    let activation = Activation::decode(bytes, &Limits::DEFAULT)?;
    let request = Request::parse(activation.join)?;
    let key = verifier.keys.mac(request.challenge.fields().epoch);
    let secret = activation.secret.as_ref();
    let holds = |key: &MacKey| secret.is_some_and(|secret| is_activation_secret(key, &request.bytes, secret));
    let by_tpm = matches!(request.join.proof, Proof::Ek { .. });
    let (checks, candidate) = appraise(verifier, &request, by_tpm.then(|| key.is_some_and(holds))).await?;
    let approved = candidate.record().approved;
    let mutation = Mutation::EnrolNode(Enrolment {
        record: candidate.record().clone(),
        signer: candidate.signer().to_vec(),
        token: request.token,
        challenge: Spend::of(&request.challenge),
        join: request.bytes.clone(),
        most_pending: verifier.config.limits.pending_nodes,
    });
    let node = &request.join.node;
    let explanation = Explanation::of_checks("changed", node, "", &checks);
    match verifier.committer.change(mutation, &format!("node {node}"), &explanation).await {
        Ok(outcome) => {
            info!(node, approved, audit_id = outcome.audit_id, "node enrolled");
            Ok(ActivationReply { approved, audit_id: outcome.audit_id }.encode())
        }
        Err(CommitError::Change(ChangeError::Conflict(conflict))) => {
            let checks = [checks, lost_race(conflict)].concat();
            Err(refuse(verifier, &request, checks, conflict.reason())?)
        }
        Err(error) => Err(error.into()),
    }
}

async fn appraise(verifier: &Verifier, request: &Request, activated: Option<bool>) -> Result<(Vec<Check>, Candidate), EnrolError> {
    let readers = verifier.store.readers();
    let token = match &request.token {
        None => TokenFound::NotGiven,
        Some(hash) => nodes::token(readers, hash).await?.map_or(TokenFound::Unknown, |found| TokenFound::Known {
            cluster: found.token.cluster,
            node: found.token.node,
            expires: found.token.expires,
            consumed: found.consumed,
        }),
    };
    let challenge_issued = challenge::is_ours(&verifier.keys, &request.challenge);
    let endorsements = endorsements(verifier, request, challenge_issued && token.lets_in(&request.join, clock::now())).await;
    let generation = verifier.exchanges.in_force().current().await?;
    let context = enrolment::Context {
        verifier: *verifier.keys.verifier(),
        now: clock::now(),
        challenge_issued,
        roots: &verifier.config.ek_roots,
        hardware: &generation.hardware,
        endorsements: &endorsements,
        limits: Limits::DEFAULT,
        cluster_known: clusters::get(readers, &request.join.cluster).await?.is_some(),
        token,
        // A stranger who waits for approval under that name does not keep out who comes with a token.
        name_taken: nodes::get(readers, &request.join.node).await?.is_some_and(|node| node.record.approved || request.token.is_none()),
        activated,
    };
    let (checks, candidate) = appraise_join(&request.join, &request.challenge, &context);
    match candidate {
        Some(candidate) => Ok((checks, candidate)),
        None => {
            let reason = first_obstacle(&checks).map_or("join.activated", |check| check.rule.name);
            Err(refuse(verifier, request, checks, reason)?)
        }
    }
}

/// What makers say of the hardware. They are asked for whom a token lets in; anybody else is judged by what is at hand.
async fn endorsements(verifier: &Verifier, request: &Request, ask: bool) -> Gathered {
    let Proof::Evidence(evidence) = &request.join.proof else { return Gathered::default() };
    let Ok(evidence) = Evidence::decode(evidence, &Limits::DEFAULT) else { return Gathered::default() };
    let needs = machine::needs(&evidence);
    if ask {
        return gathered(&verifier.gatherer.gather(needs, clock::now()).await);
    }
    let found = verifier.gatherer.at_hand(needs, clock::now()).await;
    gathered(&found).and_gap("no service is asked for a node that joins without a token")
}

/// What the transaction found, as the check that it is.
fn lost_race(conflict: Conflict) -> Vec<Check> {
    let rule = match conflict {
        Conflict::ChallengeSpent => &rules::CHALLENGE_REPLAYED,
        Conflict::TokenSpent => &enrolment::TOKEN_UNSPENT,
        Conflict::TooManyPending => &enrolment::PENDING,
        _ => &enrolment::NODE_NEW,
    };
    let mut checks = Checks::owing(&[]);
    checks.record(rule, false, "to be the first", conflict.to_string());
    checks.finish()
}

/// Remembers a refusal; nothing of a stranger goes into the log.
fn refuse(verifier: &Verifier, request: &Request, checks: Vec<Check>, reason: &'static str) -> Result<EnrolError, NoRandomness> {
    let audit_id = random::audit_id()?;
    let mut explanation = Explanation::of_checks("rejected", &request.join.node, "", &checks);
    reason.clone_into(&mut explanation.reason);
    info!(node = request.join.node, reason, audit_id, "enrolment refused");
    verifier.rejections.add(Rejection { audit_id: audit_id.clone(), time: clock::now(), explanation });
    Ok(EnrolError::Refused { reason, audit_id })
}
