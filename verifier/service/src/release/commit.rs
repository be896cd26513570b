//! The committer: one task that takes what waits, and one transaction for all of it. Fence the generation, spend the challenge, append
//! the entries, sign the checkpoint, commit; only then are deliveries made.

use std::sync::Arc;

use podseal_appraisal::{
    check::Checks,
    entry::{Entry, EntryKind},
    explanation::Explanation,
    recheck::role,
    rules,
};
use podseal_protocol::{
    Digest,
    delivery::{Delivery, Receipt},
    exchange::Outcome,
};
use sqlx::SqliteConnection;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::seal::Sealed;
use crate::{
    archive::{Archive, ArchiveError},
    clock,
    keyring::Keyring,
    random::{self, NoRandomness},
    store::{
        Store,
        challenges::{self, Spend},
        log::Tail,
        mutation::{ChangeError, Mutation},
        node_state::{self, Standing, Went},
        nodes, secrets, state,
    },
};

/// Requests that one transaction takes at most.
const GROUP: usize = 64;
/// Requests that wait at most; then callers wait for a place.
const QUEUE: usize = 256;

/// What becomes of a leaf, or of a node that attests.
#[derive(Debug)]
pub enum Conclusion {
    /// These secrets are released.
    Released(Sealed),
    /// Nothing is released, for this reason.
    Refused(&'static str),
    /// The node's evidence holds; it asked for nothing.
    Attested,
}

/// One decided leaf, or the node where it comes alone.
#[derive(Debug)]
pub struct PendingLeaf {
    /// `h(leaf)`, or what an answer to the node goes by.
    pub leaf: Digest,
    /// The one id of this decision.
    pub audit_id: String,
    /// Who asks, in words.
    pub workload: String,
    /// Digests of inputs and results, by role; archived.
    pub objects: Vec<(String, Digest)>,
    /// What is released; or the reason why nothing is.
    pub result: Conclusion,
}

/// One exchange, decided and archived, that waits for its transaction.
#[derive(Debug)]
pub struct Pending {
    /// The generation that was decided on.
    pub generation: u64,
    /// The registered node.
    pub node: String,
    /// How it stood when this was appraised: it is appraised anew when that is another now.
    pub standing: Option<Standing>,
    /// What its evidence says about that.
    pub went: Went,
    /// The challenge to be spent.
    pub challenge: Spend,
    /// When it was decided, in seconds since 1970.
    pub decided: u64,
    /// One for each leaf, in their order; without leaves one for the node, where that is news.
    pub leaves: Vec<PendingLeaf>,
}

/// What the transaction came to.
#[derive(Debug)]
pub enum ReleaseOutcome {
    /// Everything is in the log; these are the answers, in the order of the leaves.
    Committed(Vec<(Digest, Outcome)>),
    /// Policy, registry, reference values or secrets have changed since: decide again.
    Moved,
    /// The challenge was used before. Nothing was written.
    Replayed,
}

/// An accepted change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeOutcome {
    /// The one id of this change.
    pub audit_id: String,
    /// Position of its entry.
    pub entry_index: u64,
}

/// Why nothing was committed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The state does not allow the change, or the store failed at it.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The store failed: nothing of the transaction was kept.
    #[error("store: {0}: see whether the disk is full; nothing was released")]
    Store(Arc<sqlx::Error>),
    /// An input could not be archived.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The verifier is stopping.
    #[error("the verifier is stopping: try again when it is back")]
    Stopping,
}

/// A change, its objects archived.
struct Change {
    audit_id: String,
    mutation: Mutation,
    objects: Vec<(String, Digest)>,
}

type Reply<T> = oneshot::Sender<Result<T, CommitError>>;

enum Work {
    Release(Box<Pending>, Reply<Committed>),
    Change(Box<Change>, Reply<ChangeOutcome>),
}

/// What is true of one exchange once the transaction is durable.
enum Committed {
    Entries(Vec<Logged>),
    Moved,
    Replayed,
}

/// A leaf whose entry is in the log.
struct Logged {
    leaf: PendingLeaf,
    index: u64,
    entry: Digest,
}

/// The handle to the one task that writes.
#[derive(Debug, Clone)]
pub struct Committer {
    queue: mpsc::Sender<Work>,
    archive: Archive,
    keys: Arc<Keyring>,
}

impl Committer {
    /// Starts the task; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(store: Store, archive: Archive, keys: Arc<Keyring>) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(waiting, store, Arc::clone(&keys)));
        (Self { queue, archive, keys }, task)
    }

    /// Commits one exchange. Its answers exist only after its entries are durable.
    ///
    /// # Errors
    /// [`CommitError`]; then nothing was released.
    pub async fn release(&self, pending: Pending) -> Result<ReleaseOutcome, CommitError> {
        let decided = pending.decided;
        match self.submit(|reply| Work::Release(Box::new(pending), reply)).await? {
            Committed::Moved => Ok(ReleaseOutcome::Moved),
            Committed::Replayed => Ok(ReleaseOutcome::Replayed),
            Committed::Entries(logged) => {
                Ok(ReleaseOutcome::Committed(logged.into_iter().filter_map(|l| deliver(l, decided, &self.keys)).collect()))
            }
        }
    }

    /// Makes a change of state, with its entry. `actor` says whose key asked, `explanation` what was checked.
    ///
    /// # Errors
    /// [`CommitError`]; then nothing was changed.
    pub async fn change(&self, mutation: Mutation, actor: &str, explanation: &Explanation) -> Result<ChangeOutcome, CommitError> {
        let mut objects = mutation.objects();
        objects.push((role::CHANGE, mutation.record(actor, &random::bytes()?)));
        objects.push((role::EXPLANATION, explanation.encode()));
        let change = Change { audit_id: random::audit_id()?, objects: self.archived(objects).await?, mutation };
        self.submit(|reply| Work::Change(Box::new(change), reply)).await
    }

    /// Archives objects durably; role and digest of each.
    ///
    /// # Errors
    /// [`CommitError::Archive`].
    pub async fn archived(&self, objects: Vec<(&'static str, Vec<u8>)>) -> Result<Vec<(String, Digest)>, CommitError> {
        let (roles, contents): (Vec<_>, Vec<_>) = objects.into_iter().unzip();
        let digests = self.archive.put(contents).await?;
        Ok(roles.into_iter().map(str::to_owned).zip(digests).collect())
    }

    async fn submit<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(work(reply)).await.map_err(|_| CommitError::Stopping)?;
        answer.await.map_err(|_| CommitError::Stopping)?
    }
}

/// Makes the answer for a leaf whose entry is durable, where one is due: the only place where sealed secrets become bytes.
fn deliver(logged: Logged, issued: u64, keys: &Keyring) -> Option<(Digest, Outcome)> {
    let outcome = match logged.leaf.result {
        Conclusion::Attested => return None,
        Conclusion::Refused(reason) => Outcome::Refused { reason: reason.to_owned(), audit_id: logged.leaf.audit_id },
        Conclusion::Released(sealed) => {
            let receipt = Receipt {
                verifier: *keys.verifier(),
                ciphertext: sealed.ciphertext_digest(),
                context: sealed.context,
                leaf: sealed.leaf,
                binding: sealed.binding,
                entry_index: logged.index,
                entry: logged.entry,
                issued,
                claims: sealed.claims,
            };
            let delivery = Delivery::sign(&receipt, keys.receipt(), keys.receipt_certified().to_vec(), sealed.ciphertext);
            Outcome::Delivered(delivery.encode())
        }
    };
    Some((logged.leaf.leaf, outcome))
}

async fn run(mut waiting: mpsc::Receiver<Work>, store: Store, keys: Arc<Keyring>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        match transaction(&store, &keys, &group).await {
            Ok(written) => {
                if group.iter().any(Work::forgets) {
                    forget(&store).await;
                }
                group.drain(..).zip(written).for_each(|(work, written)| work.answer(written));
            }
            Err(error) => {
                store.renew_writer().await;
                tracing::error!(%error, requests = group.len(), "transaction failed: nothing was released, nothing was changed");
                let error = Arc::new(error);
                group.drain(..).for_each(|work| work.fail(&error));
            }
        }
    }
}

/// What was removed leaves the write-ahead log too, before whoever asked for it hears that it is gone.
async fn forget(store: &Store) {
    match store.truncate_wal().await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("a reader keeps the write-ahead log: values that were removed stay in it until the next change of a secret")
        }
        Err(error) => tracing::warn!(%error, "the write-ahead log was not emptied: values that were removed stay in it for now"),
    }
}

/// What the transaction did for one request.
enum Written {
    /// Position and digest of each leaf's entry.
    Entries(Vec<(u64, Digest)>),
    Moved,
    Replayed,
    /// Position of the change's entry.
    Changed(u64),
    /// The state did not allow the change.
    Refused(ChangeError),
}

impl Work {
    /// Whether it removes a value from the store.
    fn forgets(&self) -> bool {
        matches!(self, Self::Change(change, _) if matches!(change.mutation, Mutation::PutSecret(_) | Mutation::DeleteSecret { .. }))
    }

    // A caller that has gone away gets nothing; its entries stay.
    fn answer(self, written: Written) {
        match (self, written) {
            (Self::Release(pending, reply), Written::Entries(entries)) => {
                let logged = pending.leaves.into_iter().zip(entries);
                drop(reply.send(Ok(Committed::Entries(logged.map(|(leaf, (index, entry))| Logged { leaf, index, entry }).collect()))));
            }
            (Self::Release(_, reply), Written::Moved) => drop(reply.send(Ok(Committed::Moved))),
            (Self::Release(_, reply), Written::Replayed) => drop(reply.send(Ok(Committed::Replayed))),
            (Self::Change(change, reply), Written::Changed(entry_index)) => {
                drop(reply.send(Ok(ChangeOutcome { audit_id: change.audit_id, entry_index })));
            }
            (Self::Change(_, reply), Written::Refused(error)) => drop(reply.send(Err(error.into()))),
            // A request of one sort never gets the other's outcome; dropping the reply says "stopping".
            (Self::Release(..), Written::Changed(_) | Written::Refused(_))
            | (Self::Change(..), Written::Entries(_) | Written::Moved | Written::Replayed) => {}
        }
    }

    fn fail(self, error: &Arc<sqlx::Error>) {
        let error = CommitError::Store(Arc::clone(error));
        match self {
            Self::Release(_, reply) => drop(reply.send(Err(error))),
            Self::Change(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

async fn transaction(store: &Store, keys: &Keyring, group: &[Work]) -> Result<Vec<Written>, sqlx::Error> {
    let mut open = store.write().await?;
    let mut log = Tail::load(&mut open).await?;
    let now = clock::now();
    challenges::prune(&mut open, now).await?;
    let mut written = Vec::with_capacity(group.len());
    for work in group {
        written.push(match work {
            Work::Release(pending, _) => release(&mut open, &mut log, pending).await?,
            Work::Change(change, _) => match change.mutation.apply(&mut open, now).await {
                Ok(()) => {
                    let entry = Entry::new(change.audit_id.clone(), now, EntryKind::Changed, change.objects.clone()).encode();
                    Written::Changed(log.append(&mut open, &change.audit_id, &entry).await?)
                }
                Err(ChangeError::Store(error)) => return Err(error),
                Err(refused) => Written::Refused(refused),
            },
        });
    }
    log.seal(&mut open, keys).await?;
    open.commit().await?;
    Ok(written)
}

async fn release(open: &mut SqliteConnection, log: &mut Tail, pending: &Pending) -> Result<Written, sqlx::Error> {
    if state::generation(&mut *open).await? != pending.generation {
        return Ok(Written::Moved);
    }
    if node_state::standing(&mut *open, &pending.node).await? != pending.standing {
        return Ok(Written::Moved);
    }
    let unspent = challenges::spend(open, &pending.challenge).await?;
    let mut checks = Checks::owing(&[&rules::CHALLENGE_REPLAYED]);
    if !checks.record(&rules::CHALLENGE_REPLAYED, unspent, "a challenge that was not used", if unspent { "one" } else { "used before" }) {
        return Ok(Written::Replayed);
    }
    // Before anything is released on it: a boot ends what was held before.
    let prior = pending.standing.as_ref().and_then(|standing| standing.state.as_ref());
    node_state::keep(open, &pending.node, prior, &pending.went, pending.decided).await?;
    let mut entries = Vec::with_capacity(pending.leaves.len());
    for leaf in &pending.leaves {
        let mut objects = leaf.objects.clone();
        let kind = match &leaf.result {
            Conclusion::Released(sealed) => {
                objects.push((role::CIPHERTEXT.to_owned(), sealed.ciphertext_digest()));
                for released in sealed.secrets() {
                    secrets::released(open, &released.request.secret).await?;
                }
                let holding = (leaf.audit_id.as_str(), leaf.workload.as_str(), pending.decided);
                node_state::hold(open, &pending.node, holding, sealed.secrets()).await?;
                EntryKind::Released
            }
            Conclusion::Refused(_) => EntryKind::Refused,
            Conclusion::Attested => EntryKind::Attested,
        };
        let entry = Entry::new(leaf.audit_id.clone(), pending.decided, kind, objects).encode();
        entries.push((log.append(open, &leaf.audit_id, &entry).await?, Digest::of(&entry)));
    }
    nodes::seen(open, &pending.node, pending.decided).await?;
    Ok(Written::Entries(entries))
}
