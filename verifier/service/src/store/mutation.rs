//! The changes that administrators and enrolling nodes make: each is applied in the transaction that appends its log entry.

use podseal_appraisal::{
    enrolment,
    recheck::role,
    records::{ClusterRecord, NodeRecord},
    rules,
};
use podseal_protocol::Digest;
use sqlx::{Acquire as _, SqliteConnection};
use thiserror::Error;

use super::{
    challenges::Spend,
    clusters,
    documents::{self, Document},
    node_state, nodes,
    secrets::{self, SealedVersion},
    state,
};
use crate::change::ChangeRecord;

/// One change of state, complete: applying it needs neither keys nor randomness.
#[derive(Debug)]
pub enum Mutation {
    /// A new version of a secret, encrypted for its row.
    PutSecret(SealedVersion),
    /// A secret is forgotten, the ciphertexts of all its versions included.
    DeleteSecret {
        /// `NAMESPACE/NAME`.
        name: String,
    },
    /// A policy that compiled.
    ApplyPolicy(Document),
    /// A set of reference values that parsed.
    ApplyReference(Document),
    /// A policy of hardware that parsed.
    ApplyHardware(Document),
    /// A cluster is added, or its issuer and keys are replaced.
    AddCluster(ClusterRecord),
    /// A one-time permission to join.
    JoinToken(JoinToken),
    /// A node whose activation held.
    EnrolNode(Enrolment),
    /// An administrator lets a pending node in.
    ApproveNode {
        /// Its name.
        name: String,
    },
    /// Nothing is released to a node until it is let out.
    QuarantineNode {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A node is let out of quarantine.
    ReleaseNode {
        /// Its name.
        name: String,
    },
}

/// A one-time permission to join, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// `h(token)`.
    pub digest: Digest,
    /// The cluster that may be joined.
    pub cluster: String,
    /// The one node that may; empty: any.
    pub node: String,
    /// First second in which it is no longer accepted.
    pub expires: u64,
}

/// A node on its way into the registry.
#[derive(Debug)]
pub struct Enrolment {
    /// What enrolment proved; `approved` says whether a token let it in.
    pub record: NodeRecord,
    /// What the bindings of its evidence have of its key.
    pub signer: Vec<u8>,
    /// `h(token)` when it came with one.
    pub token: Option<Digest>,
    /// The challenge that the request was made for.
    pub challenge: Spend,
    /// The request ([`podseal_protocol::join::Join`]), byte for byte.
    pub join: Vec<u8>,
    /// Nodes that may wait for approval at a time.
    pub most_pending: u32,
}

/// Why a change was not made. Nothing of it was.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The state does not allow it.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The store failed.
    #[error("store: {0}: see whether the disk is full or the file was removed")]
    Store(#[from] sqlx::Error),
}

/// What in the state stands against a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Conflict {
    /// The challenge was used before.
    #[error("the challenge was used before: ask for a new one")]
    ChallengeSpent,
    /// The token is unknown, used, expired, or for another cluster or node.
    #[error("the join token is unknown, used, expired, or for another cluster or node: create a new one (podseal node join-token)")]
    TokenSpent,
    /// Name, machine or key is in the registry.
    #[error("a node of this name, or on this machine, or with this key, is enrolled: choose another name, or enrol each machine once")]
    NodeExists,
    /// Too many nodes wait.
    #[error("too many nodes wait for approval: approve those that are yours (podseal node list), or raise limits.pending_nodes")]
    TooManyPending,
    /// No such node.
    #[error("no node of this name: see podseal node list")]
    UnknownNode,
    /// Nothing to do.
    #[error("the node is approved already")]
    AlreadyApproved,
    /// Nothing to do.
    #[error("the node is in quarantine already, and the reason stays: see podseal node show")]
    QuarantinedAlready,
    /// Nothing to do.
    #[error("the node is not in quarantine: see podseal node list")]
    NotQuarantined,
    /// No such secret.
    #[error("no secret of this name: see podseal secret list")]
    UnknownSecret,
    /// Somebody else put a version in between.
    #[error("another version of the secret was put at the same time: try again")]
    VersionTaken,
    /// No such cluster.
    #[error("no cluster of this id: add it first (podseal cluster add)")]
    UnknownCluster,
    /// Every decision rests on all of them, and is archived with them.
    #[error("the reference sets would be longer than 4 MiB together: apply shorter ones under the names that are in force")]
    TooManyReferences,
}

impl Conflict {
    /// The stable reason that the outside hears.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ChallengeSpent => rules::CHALLENGE_REPLAYED.name,
            Self::TokenSpent => enrolment::TOKEN_UNSPENT.name,
            Self::NodeExists => enrolment::NODE_NEW.name,
            Self::TooManyPending => enrolment::PENDING.name,
            Self::UnknownNode => "node.unknown",
            Self::AlreadyApproved => "node.approved_already",
            Self::QuarantinedAlready => "node.quarantined_already",
            Self::NotQuarantined => "node.not_quarantined",
            Self::UnknownSecret => "secret.unknown",
            Self::VersionTaken => "secret.version_taken",
            Self::UnknownCluster => "cluster.unknown",
            Self::TooManyReferences => "reference.total",
        }
    }
}

impl Mutation {
    /// The kind of change, as it stands in records and log lines.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PutSecret(_) => "put-secret",
            Self::DeleteSecret { .. } => "delete-secret",
            Self::ApplyPolicy(_) => "apply-policy",
            Self::ApplyReference(_) => "apply-reference",
            Self::ApplyHardware(_) => "apply-hardware",
            Self::AddCluster(_) => "add-cluster",
            Self::JoinToken(_) => "join-token",
            Self::EnrolNode(_) => "enrol-node",
            Self::ApproveNode { .. } => "approve-node",
            Self::QuarantineNode { .. } => "quarantine-node",
            Self::ReleaseNode { .. } => "release-node",
        }
    }

    /// What is changed, by name; empty for the policy.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::PutSecret(version) => &version.name,
            Self::DeleteSecret { name } | Self::ApproveNode { name } | Self::ReleaseNode { name } => name,
            Self::QuarantineNode { name, .. } => name,
            Self::ApplyPolicy(document) | Self::ApplyReference(document) | Self::ApplyHardware(document) => &document.name,
            Self::AddCluster(cluster) => &cluster.id,
            Self::JoinToken(token) => &token.node,
            Self::EnrolNode(enrolment) => &enrolment.record.node,
        }
    }

    /// The version of the secret that is put; 0 for every other change.
    #[must_use]
    pub fn version(&self) -> u64 {
        if let Self::PutSecret(version) = self { version.version } else { 0 }
    }

    /// What is archived under the role `change`: who did what.
    #[must_use]
    pub fn record(&self, actor: &str, salt: &[u8; 16]) -> Vec<u8> {
        let (kind, subject) = (self.kind().to_owned(), self.subject().to_owned());
        ChangeRecord { salt: *salt, kind, subject, version: self.version(), actor: actor.to_owned() }.encode()
    }

    /// What the entry commits to: role and bytes, to be archived before the change is committed.
    #[must_use]
    pub fn objects(&self) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::ApplyPolicy(document) => vec![(role::POLICY, document.text.clone().into_bytes())],
            Self::ApplyReference(document) => vec![(role::REFERENCE, document.text.clone().into_bytes())],
            Self::ApplyHardware(document) => vec![(role::HARDWARE_POLICY, document.text.clone().into_bytes())],
            Self::AddCluster(cluster) => vec![(role::CLUSTER, cluster.encode())],
            Self::EnrolNode(enrolment) => {
                vec![(role::NODE, enrolment.record.encode()), (role::JOIN, enrolment.join.clone())]
            }
            Self::QuarantineNode { why, .. } => vec![(role::REASON, why.clone().into_bytes())],
            Self::PutSecret(_) | Self::DeleteSecret { .. } | Self::JoinToken(_) | Self::ApproveNode { .. } | Self::ReleaseNode { .. } => {
                Vec::new()
            }
        }
    }

    /// Whether it changes what is decided about one node alone, which the committer fences by itself: nodes join all the time.
    fn is_of_one_node(&self) -> bool {
        match self {
            Self::JoinToken(_) | Self::EnrolNode(_) | Self::ApproveNode { .. } | Self::QuarantineNode { .. } | Self::ReleaseNode { .. } => {
                true
            }
            Self::PutSecret(_)
            | Self::DeleteSecret { .. }
            | Self::ApplyPolicy(_)
            | Self::ApplyReference(_)
            | Self::ApplyHardware(_)
            | Self::AddCluster(_) => false,
        }
    }

    /// Carries the change out within the caller's transaction, and moves the generation, unless it is of one node. When it fails, the transaction is as before: a
    /// batch goes on with its other members.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn apply(&self, connection: &mut SqliteConnection, now: u64) -> Result<(), ChangeError> {
        let mut savepoint = connection.begin().await?;
        match self {
            Self::PutSecret(version) => secrets::put(&mut savepoint, version, now).await?,
            Self::DeleteSecret { name } => secrets::delete(&mut savepoint, name, now).await?,
            Self::ApplyPolicy(document) => documents::apply(&mut savepoint, documents::Kind::Policy, document, now).await?,
            Self::ApplyReference(document) => documents::apply_reference(&mut savepoint, document, now).await?,
            Self::ApplyHardware(document) => documents::apply(&mut savepoint, documents::Kind::Hardware, document, now).await?,
            Self::AddCluster(cluster) => clusters::put(&mut savepoint, cluster).await?,
            Self::JoinToken(token) => nodes::put_token(&mut savepoint, token, now).await?,
            Self::EnrolNode(enrolment) => nodes::enrol(&mut savepoint, enrolment, now).await?,
            Self::ApproveNode { name } => nodes::approve(&mut savepoint, name).await?,
            Self::QuarantineNode { name, why } => node_state::quarantine(&mut savepoint, name, why).await?,
            Self::ReleaseNode { name } => node_state::release(&mut savepoint, name).await?,
        }
        if !self.is_of_one_node() {
            state::next_generation(&mut savepoint).await?;
        }
        savepoint.commit().await?;
        Ok(())
    }
}
