//! One exchange, from received bytes to the answer: challenge → appraise → decide → seal → log → deliver.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    sync::Arc,
};

use podseal_appraisal::{
    appraiser::{Appraisal, Context, LeafAppraisal, Obstacle, Registration, appraise},
    batch::Unverified,
    check::{Check, Checks, first_obstacle},
    continuity::NodeState,
    decision::{Decision, Grant, decide},
    explanation::Explanation,
    machine::{Gathered, Hardware},
    pod_log::PodLogState,
    recheck::{OfLeaf, Shared, role},
    records::SecretRecord,
    rules,
};
use podseal_endorsements::Gatherer;
use podseal_protocol::{
    Digest, Limits, Profile, Purpose,
    cbor::Malformed,
    exchange::{ExchangeReply, Outcome},
};
use thiserror::Error;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    challenge, clock,
    endorsed::gathered,
    in_force::{Generation, InForce, InForceError},
    keyring::{Keyring, KeyringError},
    random::{self, NoRandomness},
    rejections::{Rejection, Rejections},
    release::{CommitError, Committer, Conclusion, Pending, PendingLeaf, ReleaseOutcome, SealFailure, Sealed, seal},
    store::{
        Store,
        challenges::{self, Spend},
        node_state::{self, Holds, Standing, Went},
        nodes::Failing,
        secrets::{self, ValueError},
    },
};

/// How often a decision is taken anew because state moved under it.
const ATTEMPTS: usize = 4;
/// What a reply has besides deliveries: its own fields with the next challenge, and a refusal for each leaf.
const REST_OF_A_REPLY: usize = 4 << 10;
const A_REFUSAL: usize = 256;

/// Why an exchange gets no reply at all.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// Not an exchange.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// State cannot be read.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// A value cannot be read.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealFailure),
    /// Nothing was committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// No challenge key.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// State moved each time.
    #[error("policy, registry or secrets changed {ATTEMPTS} times while this was decided: try again")]
    Moving,
    /// The verifier is stopping.
    #[error("the verifier is stopping: try again when it is back")]
    Stopping,
}

/// Everything that answers exchanges.
#[derive(Debug)]
pub struct Exchanges {
    store: Store,
    keys: Arc<Keyring>,
    in_force: InForce,
    gatherer: Gatherer,
    committer: Committer,
    rejections: Arc<Rejections>,
    processors: Arc<Semaphore>,
    limits: Limits,
}

/// One leaf, decided.
struct Decided {
    audit_id: String,
    leaf: Digest,
    explanation: Explanation,
    of_leaf: OfLeaf,
    secrets: Vec<SecretRecord>,
    decision: Decision,
}

/// One leaf, decided, and sealed where that was the decision; or the node, where it comes alone.
struct Concluded {
    told: Told,
    of_leaf: Option<OfLeaf>,
    result: Conclusion,
}

/// What is told of a leaf, or of a node that attests, once its entry is durable.
struct Told {
    audit_id: String,
    leaf: Digest,
    explanation: Explanation,
    recorded: Recorded,
}

/// Whether an entry of the log tells of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recorded {
    /// One of its own.
    Entry,
    /// None: its delivery found no room in the reply, and it has to ask again.
    LeftOut,
    /// That of an earlier attestation, which came to the same.
    Before,
}

/// One batch, appraised on one generation.
struct Appraised {
    batch: Arc<Unverified>,
    appraisal: Appraisal,
    generation: Arc<Generation>,
    registration: Option<Arc<Registration>>,
    pod_log: Option<Arc<PodLogState>>,
    endorsements: Arc<Gathered>,
    standing: Option<Standing>,
    challenge_issued: bool,
    now: u64,
}

impl Exchanges {
    /// Puts the parts together; `roots` are those of hardware, and `gatherer` has what makers say of it.
    #[must_use]
    pub fn new(
        store: Store,
        keys: Arc<Keyring>,
        committer: Committer,
        rejections: Arc<Rejections>,
        (roots, gatherer): (Hardware, Gatherer),
        limits: Limits,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let in_force = InForce::new(store.clone(), roots);
        Self { store, keys, in_force, gatherer, committer, rejections, processors: Arc::new(Semaphore::new(processors)), limits }
    }

    /// What decisions rest on.
    #[must_use]
    pub fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// Answers one exchange.
    ///
    /// # Errors
    /// [`ExchangeError`]: then nothing was released.
    pub async fn answer(&self, bytes: Vec<u8>) -> Result<ExchangeReply, ExchangeError> {
        let limits = self.limits;
        let (batch, bytes) = self.compute(move || Unverified::parse(&bytes, &limits).map(|batch| (Arc::new(batch), bytes))).await??;
        let node = batch.needs().node.to_owned();
        // Each attempt goes on from what was kept before the first, which keeps more.
        let pod_log = self.in_force.pod_log(&node);
        let endorsements = Arc::new(self.endorsements(&batch, pod_log.as_ref()).await?);
        for _ in 0..ATTEMPTS {
            let mut appraised = self.appraise(Arc::clone(&batch), pod_log.clone(), Arc::clone(&endorsements)).await?;
            if !appraised.appraisal.attributable() {
                let checks = appraised.appraisal.node_checks();
                return self.rejected(&batch, Explanation::of_checks("rejected", &node, "", checks));
            }
            if challenges::is_spent(self.store.readers(), &Spend::of(batch.needs().challenge)).await? {
                return self.replayed(&batch);
            }
            if appraised.appraisal.asks_for_more() {
                // No decision: nothing is logged, and the challenge is not spent.
                let checks = appraised.appraisal.node_checks();
                return self.rejected(&batch, Explanation::of_checks("rejected", &node, "", checks));
            }
            if let Some(state) = appraised.appraisal.take_pod_log() {
                self.in_force.keep_pod_log(&node, state);
            }
            let (appraised, decided) = self.decide(appraised).await?;
            let concluded = match self.seal(decided, &node).await {
                // A secret got another value since the decision.
                Err(ExchangeError::Value(ValueError::Gone { .. })) => continue,
                concluded if batch.is_of_node_alone() => concluded.and(attested(&appraised))?,
                concluded => concluded?,
            };
            let (pending, told) = self.archive(&appraised, concluded, &bytes).await?;
            match self.committer.release(pending).await? {
                ReleaseOutcome::Committed(outcomes) => return self.told(&node, told, outcomes),
                ReleaseOutcome::Replayed => return self.replayed(&batch),
                ReleaseOutcome::Moved => {}
            }
        }
        Err(ExchangeError::Moving)
    }

    /// What makers say of the hardware. They are asked for a registered node's own evidence, made for this challenge; anybody else's is
    /// judged by what is at hand.
    async fn endorsements(&self, batch: &Arc<Unverified>, pod_log: Option<&Arc<PodLogState>>) -> Result<Gathered, ExchangeError> {
        let needs = batch.needs().endorsements;
        if needs.is_empty() {
            return Ok(Gathered::default());
        }
        let found = self.gatherer.at_hand(needs.clone(), clock::now()).await;
        let at_hand = gathered(&found);
        let is_due = found.is_due() && {
            let appraised = self.appraise(Arc::clone(batch), pod_log.cloned(), Arc::new(at_hand.clone())).await?;
            appraised.appraisal.attributable()
        };
        Ok(if is_due { gathered(&self.gatherer.gather(needs, clock::now()).await) } else { at_hand })
    }

    async fn appraise(
        &self,
        batch: Arc<Unverified>,
        pod_log: Option<Arc<PodLogState>>,
        endorsements: Arc<Gathered>,
    ) -> Result<Appraised, ExchangeError> {
        let generation = self.in_force.current().await?;
        let node = batch.needs().node.to_owned();
        let standing = node_state::standing(self.store.readers(), &node).await?;
        let registration = standing.as_ref().map(|standing| self.in_force.registration(&standing.record));
        let challenge_issued = challenge::is_ours(&self.keys, batch.needs().challenge);
        let kept = self.in_force.replayed(&node);
        let (verifier, limits, now) = (*self.keys.verifier(), self.limits, clock::now());
        let mut appraised = self
            .compute(move || {
                let context = Context {
                    verifier,
                    now,
                    challenge_issued,
                    registration: registration.as_deref(),
                    state: standing.as_ref().and_then(|standing| standing.state.as_ref()),
                    cluster: registration.as_ref().and_then(|r| generation.clusters.get(&r.record().cluster)),
                    references: &generation.references,
                    hardware: &generation.hardware,
                    endorsements: &endorsements,
                    replayed: kept.as_deref(),
                    pod_log: pod_log.as_deref(),
                    limits,
                };
                let appraisal = appraise(&batch, &context);
                Appraised { appraisal, batch, generation, registration, pod_log, endorsements, standing, challenge_issued, now }
            })
            .await?;
        if let Some(log) = appraised.appraisal.take_replayed() {
            self.in_force.keep(&node, log);
        }
        Ok(appraised)
    }

    async fn decide(&self, appraised: Appraised) -> Result<(Appraised, Vec<Decided>), ExchangeError> {
        let known = self.asked(&appraised.appraisal).await?;
        self.compute(move || {
            let decided = appraised.appraisal.leaves().iter().zip(0..).map(|(leaf, index)| decide_leaf(&appraised, leaf, index, &known));
            let decided = decided.collect::<Result<Vec<_>, NoRandomness>>();
            decided.map(|decided| (appraised, decided))
        })
        .await?
        .map_err(ExchangeError::Randomness)
    }

    /// The secrets that the leaves of a batch ask for, as far as they exist.
    async fn asked(&self, appraisal: &Appraisal) -> Result<BTreeMap<String, SecretRecord>, ExchangeError> {
        let asks = appraisal.leaves().iter().filter_map(LeafAppraisal::leaf);
        let names: BTreeSet<&str> = asks.flat_map(|leaf| &leaf.secrets).map(|request| request.secret.as_str()).collect();
        let mut found = BTreeMap::new();
        for name in names {
            found.extend(secrets::get(self.store.readers(), name).await?.map(|stored| (name.to_owned(), stored.record)));
        }
        Ok(found)
    }

    /// Seals what was granted, as far as the deliveries fit into one reply: what does not would be logged, and never arrive.
    async fn seal(&self, decided: Vec<Decided>, node: &str) -> Result<Vec<Concluded>, ExchangeError> {
        let mut room = self.limits.message.saturating_sub(REST_OF_A_REPLY + decided.len() * A_REFUSAL);
        let mut concluded = Vec::with_capacity(decided.len());
        for Decided { audit_id, leaf, explanation, of_leaf, secrets, decision } in decided {
            let mut told = Told { audit_id, leaf, explanation, recorded: Recorded::Entry };
            let result = match decision {
                Decision::Refuse(refusal) => Conclusion::Refused(refusal.reason()),
                Decision::Release(grant) => {
                    let sealed = self.sealed(grant, &secrets, &told.audit_id).await?;
                    let length = sealed.delivery_length();
                    let mut checks = Checks::owing(&[&rules::REPLY_ROOM]);
                    if checks.record(&rules::REPLY_ROOM, length <= room, format!("at most {room} bytes"), format!("{length} bytes")) {
                        room -= length;
                        Conclusion::Released(sealed)
                    } else {
                        told.recorded = Recorded::LeftOut;
                        told.explanation = Explanation::of_checks("rejected", node, &told.explanation.workload, &checks.finish());
                        Conclusion::Refused(rules::REPLY_ROOM.name)
                    }
                }
            };
            concluded.push(Concluded { told, of_leaf: Some(of_leaf), result });
        }
        Ok(concluded)
    }

    /// Archives every input and result, before anything of it is in the log.
    async fn archive(&self, appraised: &Appraised, concluded: Vec<Concluded>, bytes: &[u8]) -> Result<(Pending, Vec<Told>), ExchangeError> {
        let generation = &appraised.generation;
        let record = appraised.registration.as_ref().map(|r| r.record());
        let judged = record.is_some_and(|record| record.profile != Profile::Tpm.as_str());
        let shared = Shared {
            exchange: bytes.to_vec(),
            verifier: *self.keys.verifier(),
            now: appraised.now,
            challenge_issued: appraised.challenge_issued,
            node: record.map(|r| r.encode()),
            state: appraised.standing.as_ref().and_then(|standing| standing.state.as_ref()).map(NodeState::encode),
            cluster: record.and_then(|r| generation.clusters.get(&r.cluster)).map(|c| c.record().encode()),
            policy: generation.policy.as_ref().map(|(_, text)| text.clone()),
            references: generation.reference_texts.clone(),
            pod_log: appraised.pod_log.as_deref().map(PodLogState::encode),
            hardware: judged.then(|| (generation.hardware.encode(), appraised.endorsements.encode())),
        };
        // What no entry will name is not kept.
        let is_named = concluded.iter().any(|concluded| concluded.told.recorded == Recorded::Entry);
        let shared = if is_named { self.committer.archived(shared.into_objects()).await? } else { Vec::new() };
        let (mut leaves, mut all) = (Vec::with_capacity(concluded.len()), Vec::with_capacity(concluded.len()));
        for Concluded { told, of_leaf, result } in concluded {
            if told.recorded == Recorded::Entry {
                let mut own = of_leaf.map(OfLeaf::into_objects).unwrap_or_default();
                own.push((role::EXPLANATION, told.explanation.encode()));
                let mut objects = self.committer.archived(own).await?;
                objects.extend_from_slice(&shared);
                let (audit_id, workload) = (told.audit_id.clone(), told.explanation.workload.clone());
                leaves.push(PendingLeaf { leaf: told.leaf, audit_id, workload, objects, result });
            }
            all.push(told);
        }
        let pending = Pending {
            generation: generation.number,
            node: appraised.batch.needs().node.to_owned(),
            standing: appraised.standing.clone(),
            went: went(appraised, &all),
            challenge: Spend::of(appraised.batch.needs().challenge),
            decided: appraised.now,
            leaves,
        };
        Ok((pending, all))
    }

    /// Answers for what is in the log now, and for what found no room.
    fn told(&self, node: &str, told: Vec<Told>, committed: Vec<(Digest, Outcome)>) -> Result<ExchangeReply, ExchangeError> {
        let mut committed = committed.into_iter();
        let mut outcomes = Vec::with_capacity(told.len());
        for Told { audit_id, leaf, explanation, recorded } in told {
            let refused = || (leaf, Outcome::Refused { reason: explanation.reason.clone(), audit_id: audit_id.clone() });
            match recorded {
                Recorded::Before => outcomes.extend((explanation.result != "attested").then(refused)),
                Recorded::LeftOut => {
                    log_decision(&audit_id, &explanation);
                    outcomes.push(refused());
                    self.rejections.add(Rejection { audit_id, time: clock::now(), explanation });
                }
                Recorded::Entry => {
                    log_decision(&audit_id, &explanation);
                    outcomes.extend(committed.next());
                }
            }
        }
        self.reply(node, outcomes)
    }

    async fn sealed(&self, grant: Grant, records: &[SecretRecord], audit_id: &str) -> Result<Sealed, ExchangeError> {
        let mut values: Vec<Zeroizing<Vec<u8>>> = Vec::with_capacity(grant.secrets().len());
        for released in grant.secrets() {
            let record = records.iter().find(|r| r.name == released.request.secret && r.version == released.version);
            let gone = || ValueError::Gone { name: released.request.secret.clone(), version: released.version };
            let record = record.ok_or_else(gone)?;
            values.push(secrets::value(self.store.readers(), self.keys.kek(), self.keys.store_id(), record).await?);
        }
        let (audit_id, verifier) = (audit_id.to_owned(), *self.keys.verifier());
        Ok(self.compute(move || seal(grant, values, &audit_id, verifier)).await??)
    }

    /// Runs `work` on the bounded pool: as many at a time as there are processors. How many may wait is bounded by `limits.requests`.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ExchangeError> {
        let place = Arc::clone(&self.processors).acquire_owned().await.map_err(|_| ExchangeError::Stopping)?;
        let work = move || {
            let result = work();
            drop(place);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| ExchangeError::Stopping)
    }

    /// What no registered node can be held to is remembered and told once, however many leaves it has.
    fn rejected(&self, batch: &Unverified, explanation: Explanation) -> Result<ExchangeReply, ExchangeError> {
        let audit_id = random::audit_id()?;
        log_decision(&audit_id, &explanation);
        let refused = |leaf| (leaf, Outcome::Refused { reason: explanation.reason.clone(), audit_id: audit_id.clone() });
        let outcomes = batch.answered().map(refused).collect();
        self.rejections.add(Rejection { audit_id: audit_id.clone(), time: clock::now(), explanation: explanation.clone() });
        self.reply(batch.needs().node, outcomes)
    }

    fn replayed(&self, batch: &Unverified) -> Result<ExchangeReply, ExchangeError> {
        let mut checks = Checks::owing(&[&rules::CHALLENGE_REPLAYED]);
        checks.record(&rules::CHALLENGE_REPLAYED, false, "a challenge that was not used", batch.needs().challenge.digest().to_string());
        let checks: Vec<Check> = checks.finish();
        self.rejected(batch, Explanation::of_checks("rejected", batch.needs().node, "", &checks))
    }

    fn reply(&self, node: &str, outcomes: Vec<(Digest, Outcome)>) -> Result<ExchangeReply, ExchangeError> {
        Ok(ExchangeReply { next_challenge: challenge::issue(&self.keys, Purpose::Release, node, clock::now())?, outcomes })
    }
}

/// What the node's evidence comes to by itself; told by the earlier entry where that said the same.
fn attested(appraised: &Appraised) -> Result<Vec<Concluded>, ExchangeError> {
    let explanation = Explanation::of_node(&appraised.batch, &appraised.appraisal);
    let found = went(appraised, &[]);
    let is_known =
        |standing: &&Standing| !standing.is_changed_by(&found) && (found.fork.is_none() || !standing.record.quarantined.is_empty());
    let known = appraised.standing.as_ref().filter(is_known);
    let (audit_id, recorded) = match (known, &found.holds) {
        // It is told to whoever asks, and is no news of the node.
        (Some(_), Holds::Late) => (random::audit_id()?, Recorded::LeftOut),
        (Some(standing), _) => (standing.failing.as_ref().map(|failing| failing.audit_id.clone()).unwrap_or_default(), Recorded::Before),
        (None, _) => (random::audit_id()?, Recorded::Entry),
    };
    let result = match first_obstacle(appraised.appraisal.node_checks()) {
        None => Conclusion::Attested,
        Some(check) => Conclusion::Refused(check.rule.name),
    };
    let told = appraised.batch.answered().map(|leaf| Told { audit_id: audit_id.clone(), leaf, explanation: explanation.clone(), recorded });
    Ok(told.zip([result]).map(|(told, result)| Concluded { told, of_leaf: None, result }).collect())
}

/// What the evidence says about the node itself; a failure names the decision that says more.
fn went(appraised: &Appraised, told: &[Told]) -> Went {
    let (appraisal, audit_id) = (&appraised.appraisal, told.first().map(|first| first.audit_id.clone()).unwrap_or_default());
    let failing = |check: &Check| Failing { since: appraised.now, check: check.rule.name.to_owned(), audit_id: audit_id.clone() };
    let fork = |check: &Check| format!("{}: found {}, wanted {}: podseal explain {audit_id}", check.rule.name, check.found, check.expected);
    let holds = match appraisal.node_obstacle() {
        Obstacle::None => Holds::Yes,
        Obstacle::Late => Holds::Late,
        Obstacle::Check(check) => Holds::No(failing(check)),
    };
    Went { state: appraisal.state().cloned(), fork: appraisal.fork().map(fork), holds }
}

fn decide_leaf(
    appraised: &Appraised,
    leaf: &LeafAppraisal,
    index: u64,
    known: &BTreeMap<String, SecretRecord>,
) -> Result<Decided, NoRandomness> {
    let names: BTreeSet<&str> = leaf.leaf().into_iter().flat_map(|asks| &asks.secrets).map(|request| request.secret.as_str()).collect();
    let secrets: Vec<SecretRecord> = names.into_iter().filter_map(|name| known.get(name).cloned()).collect();
    let policy = appraised.generation.policy.as_ref().map(|(policy, _)| policy);
    let decision = decide(&appraised.appraisal, leaf, policy, &secrets);
    Ok(Decided {
        audit_id: random::audit_id()?,
        leaf: leaf.digest(),
        explanation: Explanation::of_decision(&appraised.batch, &appraised.appraisal, leaf, &decision),
        of_leaf: OfLeaf::new(index, &random::bytes()?, &secrets),
        secrets,
        decision,
    })
}

fn log_decision(audit_id: &str, explanation: &Explanation) {
    tracing::info!(
        audit_id,
        result = explanation.result,
        reason = explanation.reason,
        node = explanation.node,
        workload = explanation.workload,
        secrets = explanation.secrets.join(", "),
        "decided"
    );
}
