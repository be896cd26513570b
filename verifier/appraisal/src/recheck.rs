//! Deciding anew: everything that went into a decision, as the archive keeps it, and the same functions once more.

use std::collections::BTreeMap;

use podseal_protocol::{
    Digest, Limits, Profile,
    cbor::{Decoder, Encoder, Malformed},
    require,
};

use crate::{
    appraiser::{Appraisal, Cluster, Context, LeafAppraisal, Registration, appraise},
    batch::Unverified,
    claims::{NodeClaims, WorkloadClaims},
    continuity::NodeState,
    decision::{Decision, decide},
    entry::{Entry, EntryKind},
    explanation::Explanation,
    machine::{Gathered, Hardware},
    pod_log::PodLogState,
    policy::{Policy, PolicyLimits},
    records::{ClusterRecord, NodeRecord, SecretRecord, decode_secrets, encode_secrets},
    reference::Reference,
};

const DECISION_DOMAIN: &str = "podseal.decision.v1";
const LEAF_DOMAIN: &str = "podseal.decision-leaf.v1";
const REFERENCES_DOMAIN: &str = "podseal.references.v1";
/// Reference sets that one decision may have seen.
const MOST_REFERENCES: usize = 4096;

/// Roles under which an entry names its objects.
pub mod role {
    /// The exchange, as received.
    pub const EXCHANGE: &str = "exchange";
    /// Verifier, time and whether the challenge was ours.
    pub const DECISION: &str = "decision";
    /// Which leaf of the exchange.
    pub const LEAF: &str = "leaf";
    /// The node's registration.
    pub const NODE: &str = "node";
    /// Where the node's TPM stood before; absent for its first evidence.
    pub const NODE_STATE: &str = "node-state";
    /// The cluster's issuer and keys.
    pub const CLUSTER: &str = "cluster";
    /// The policy's text.
    pub const POLICY: &str = "policy";
    /// Reference sets, name and text.
    pub const REFERENCES: &str = "references";
    /// Whose hardware counted, and what was good enough; absent where no such evidence came.
    pub const HARDWARE: &str = "hardware";
    /// What makers said of the hardware; absent where no such evidence came.
    pub const ENDORSEMENTS: &str = "endorsements";
    /// What the node's pod log came to before, where that was kept.
    pub const POD_LOG_STATE: &str = "pod-log-state";
    /// The secrets' names, versions and what their owners accept.
    pub const SECRETS: &str = "secrets";
    /// The result, check by check.
    pub const EXPLANATION: &str = "explanation";
    /// What was delivered; only its digest is kept.
    pub const CIPHERTEXT: &str = "ciphertext";
    /// A change of state: who did what.
    pub const CHANGE: &str = "change";
    /// The policy of hardware that was applied.
    pub const HARDWARE_POLICY: &str = "hardware-policy";
    /// The reference set that was applied.
    pub const REFERENCE: &str = "reference";
    /// Why an administrator did it.
    pub const REASON: &str = "reason";
    /// The request by which a node was enrolled.
    pub const JOIN: &str = "join";
}

/// What the decisions on all leaves of one exchange rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The exchange, as received.
    pub exchange: Vec<u8>,
    /// Our identity.
    pub verifier: Digest,
    /// Seconds since 1970.
    pub now: u64,
    /// Whether our key had made the challenge's MAC. The key itself is never archived, so this one result is an input.
    pub challenge_issued: bool,
    /// [`NodeRecord`] of the node, where there was one.
    pub node: Option<Vec<u8>>,
    /// [`NodeState`] before this evidence, where there was one.
    pub state: Option<Vec<u8>>,
    /// [`ClusterRecord`] of its cluster, where there was one.
    pub cluster: Option<Vec<u8>>,
    /// The policy's text, where there was one.
    pub policy: Option<String>,
    /// Name and text of each reference set.
    pub references: Vec<(String, String)>,
    /// [`PodLogState`] of the node, where one was kept.
    pub pod_log: Option<Vec<u8>>,
    /// [`Hardware`] and [`Gathered`], where hardware other than a TPM alone was judged.
    pub hardware: Option<(Vec<u8>, Vec<u8>)>,
}

impl Shared {
    /// The objects to archive, by role: once for all leaves.
    #[must_use]
    pub fn into_objects(self) -> Vec<(&'static str, Vec<u8>)> {
        let decision =
            Encoder::message(DECISION_DOMAIN, 4).digest(&self.verifier).uint(self.now).uint(u64::from(self.challenge_issued)).finish();
        let references =
            Encoder::message(REFERENCES_DOMAIN, 2).list(&self.references, |e, (name, text)| e.array(2).text(name).text(text)).finish();
        let mut objects = vec![(role::EXCHANGE, self.exchange), (role::DECISION, decision), (role::REFERENCES, references)];
        objects.extend(self.node.map(|bytes| (role::NODE, bytes)));
        objects.extend(self.state.map(|bytes| (role::NODE_STATE, bytes)));
        objects.extend(self.cluster.map(|bytes| (role::CLUSTER, bytes)));
        objects.extend(self.policy.map(|text| (role::POLICY, text.into_bytes())));
        objects.extend(self.pod_log.map(|bytes| (role::POD_LOG_STATE, bytes)));
        let judged = self.hardware.map(|(hardware, gathered)| [(role::HARDWARE, hardware), (role::ENDORSEMENTS, gathered)]);
        objects.extend(judged.into_iter().flatten());
        objects
    }

    fn from_objects(objects: &BTreeMap<String, Vec<u8>>, limits: &Limits) -> Result<Self, RecheckError> {
        let mut d = Decoder::message(object(objects, role::DECISION)?, DECISION_DOMAIN, 4, limits)?;
        let (verifier, now) = (d.digest("decision.verifier")?, d.uint("decision.now")?);
        let challenge_issued = d.uint_up_to("decision.challenge_issued", 1)? == 1;
        d.end("decision")?;
        let mut d = Decoder::message(object(objects, role::REFERENCES)?, REFERENCES_DOMAIN, 2, limits)?;
        let references = d.list("references", MOST_REFERENCES, |d| {
            d.array("reference", 2)?;
            let name = d.text("reference.name", limits.text)?.to_owned();
            Ok((name, d.text("reference.text", limits.attachment)?.to_owned()))
        })?;
        d.end("references")?;
        // One is nothing without the other.
        let judged = [role::HARDWARE, role::ENDORSEMENTS].iter().any(|role| objects.contains_key(*role));
        let judged =
            judged.then(|| object(objects, role::HARDWARE).cloned().and_then(|h| Ok((h, object(objects, role::ENDORSEMENTS)?.clone()))));
        let policy = objects.get(role::POLICY).map(|bytes| String::from_utf8(bytes.clone()).map_err(|_| RecheckError::Policy));
        Ok(Self {
            exchange: object(objects, role::EXCHANGE)?.clone(),
            verifier,
            now,
            challenge_issued,
            node: objects.get(role::NODE).cloned(),
            state: objects.get(role::NODE_STATE).cloned(),
            cluster: objects.get(role::CLUSTER).cloned(),
            policy: policy.transpose()?,
            references,
            pod_log: objects.get(role::POD_LOG_STATE).cloned(),
            hardware: judged.transpose()?,
        })
    }
}

/// What the decision on one leaf rests on besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfLeaf {
    /// Which leaf of the exchange, from 0.
    pub index: u64,
    /// [`encode_secrets`] of the secrets asked for that existed.
    pub secrets: Vec<u8>,
}

impl OfLeaf {
    /// Packs what a decision saw of the secrets; `salt` is random.
    #[must_use]
    pub fn new(index: u64, salt: &[u8; 32], secrets: &[SecretRecord]) -> Self {
        Self { index, secrets: encode_secrets(salt, secrets) }
    }

    /// The objects to archive, by role.
    #[must_use]
    pub fn into_objects(self) -> Vec<(&'static str, Vec<u8>)> {
        let leaf = Encoder::message(LEAF_DOMAIN, 2).uint(self.index).finish();
        vec![(role::LEAF, leaf), (role::SECRETS, self.secrets)]
    }

    fn from_objects(objects: &BTreeMap<String, Vec<u8>>, limits: &Limits) -> Result<Self, RecheckError> {
        let mut d = Decoder::message(object(objects, role::LEAF)?, LEAF_DOMAIN, 2, limits)?;
        let index = d.uint("leaf.index")?;
        d.end("leaf")?;
        Ok(Self { index, secrets: object(objects, role::SECRETS)?.clone() })
    }

    fn of<'a>(&self, appraisal: &'a Appraisal) -> Result<&'a LeafAppraisal, RecheckError> {
        let index = usize::try_from(self.index).unwrap_or(usize::MAX);
        appraisal.leaves().get(index).ok_or(RecheckError::NoSuchLeaf)
    }
}

fn object<'a>(objects: &'a BTreeMap<String, Vec<u8>>, role: &'static str) -> Result<&'a Vec<u8>, RecheckError> {
    objects.get(role).ok_or_else(|| RecheckError::Missing { role: role.to_owned() })
}

/// Appraises, from these bytes alone.
fn appraise_anew(batch: &Unverified, shared: &Shared, limits: &Limits) -> Result<Appraisal, RecheckError> {
    let node = shared.node.as_deref().map(|bytes| NodeRecord::decode(bytes, limits)).transpose()?;
    let of_tpm_alone = node.as_ref().is_none_or(|record| record.profile == Profile::Tpm.as_str());
    podseal_protocol::require(of_tpm_alone || shared.hardware.is_some(), RecheckError::Missing { role: role::HARDWARE.to_owned() })?;
    let registration = node.map(Registration::new);
    let state = shared.state.as_deref().map(|bytes| NodeState::decode(bytes, limits)).transpose()?;
    let cluster = shared.cluster.as_deref().map(|bytes| ClusterRecord::decode(bytes, limits)).transpose()?;
    let cluster = cluster.map(Cluster::new).transpose().map_err(|_| RecheckError::Cluster)?;
    let pod_log = shared.pod_log.as_deref().map(|bytes| PodLogState::decode(bytes, limits)).transpose()?;
    let judged = shared.hardware.as_ref();
    let hardware = judged.map_or_else(|| Ok(Hardware::none()), |(bytes, _)| Hardware::decode(bytes, limits))?;
    let endorsements = judged.map_or_else(|| Ok(Gathered::default()), |(_, bytes)| Gathered::decode(bytes, limits))?;
    let references = shared.references.iter().map(|(_, text)| Reference::parse(text)).collect::<Result<Vec<_>, _>>();
    let context = Context {
        verifier: shared.verifier,
        now: shared.now,
        challenge_issued: shared.challenge_issued,
        registration: registration.as_ref(),
        state: state.as_ref(),
        cluster: cluster.as_ref(),
        references: &references.map_err(|_| RecheckError::References)?,
        hardware: &hardware,
        endorsements: &endorsements,
        replayed: None,
        pod_log: pod_log.as_ref(),
        limits: *limits,
    };
    Ok(appraise(batch, &context))
}

/// Appraises and decides, from these bytes alone.
fn decide_anew(shared: &Shared, of_leaf: &OfLeaf, limits: &Limits) -> Result<(EntryKind, Explanation), RecheckError> {
    let batch = Unverified::parse(&shared.exchange, limits)?;
    let appraisal = appraise_anew(&batch, shared, limits)?;
    let leaf = of_leaf.of(&appraisal)?;
    let policy = shared.policy.as_deref().map(|text| Policy::parse(text, &PolicyLimits::DEFAULT));
    let secrets = decode_secrets(&of_leaf.secrets, limits)?;
    let decision = decide(&appraisal, leaf, policy.transpose().map_err(|_| RecheckError::Policy)?.as_ref(), &secrets);
    let explanation = Explanation::of_decision(&batch, &appraisal, leaf, &decision);
    let kind = match decision {
        Decision::Release(_) => EntryKind::Released,
        Decision::Refuse(_) => EntryKind::Refused,
    };
    Ok((kind, explanation))
}

/// Appraises a node alone, from these bytes alone.
fn attest_anew(shared: &Shared, limits: &Limits) -> Result<(EntryKind, Explanation), RecheckError> {
    let batch = Unverified::parse(&shared.exchange, limits)?;
    require(batch.is_of_node_alone(), RecheckError::Missing { role: role::LEAF.to_owned() })?;
    let explanation = Explanation::of_node(&batch, &appraise_anew(&batch, shared, limits)?);
    let kind = if explanation.result == "attested" { EntryKind::Attested } else { EntryKind::Refused };
    Ok((kind, explanation))
}

/// Why a decision cannot be taken anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecheckError {
    /// The archive lacks an input.
    #[error("the archive has no object in the role {role}: restore the archive folder from its backup")]
    Missing {
        /// Which.
        role: String,
    },
    /// An object is not the one that the entry names.
    #[error("the object in the role {role} is not the one that the log entry names: it was altered or exchanged")]
    OtherDigest {
        /// Which.
        role: String,
    },
    /// An input is not in its canonical form.
    #[error("an archived input is {0}")]
    Malformed(#[from] Malformed),
    /// The cluster's keys don't parse.
    #[error("the archived cluster keys are not a usable JWKS")]
    Cluster,
    /// The policy doesn't parse.
    #[error("the archived policy does not compile")]
    Policy,
    /// A reference set doesn't parse.
    #[error("an archived reference set does not parse")]
    References,
    /// The recorded result doesn't parse.
    #[error("the archived explanation is none: it was not written by a verifier of this version")]
    Explanation,
    /// The exchange has no such leaf.
    #[error("the archived exchange has no leaf of the recorded number")]
    NoSuchLeaf,
    /// No claims follow from it.
    #[error("the evidence itself does not hold, so nothing is known of who asked: see podseal explain")]
    EvidenceFails,
}

/// What deciding anew came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rechecked {
    /// As the log entry and its archived explanation have it.
    pub recorded: Explanation,
    /// As it came out now.
    pub now: Explanation,
    /// Whether result, reason and every check are the same.
    pub same: bool,
}

/// Decides the entry of a release, a refusal or a node's attestation anew from the archive alone.
///
/// # Errors
/// Anything that keeps the decision from being taken: never "the same".
pub fn recheck(entry: &Entry, objects: &BTreeMap<String, Vec<u8>>, limits: &Limits) -> Result<Rechecked, RecheckError> {
    let named = named(entry, objects)?;
    let recorded = Explanation::decode(object(&named, role::EXPLANATION)?).ok_or(RecheckError::Explanation)?;
    let shared = Shared::from_objects(&named, limits)?;
    let (kind, now) = if entry.object(role::LEAF).is_some() {
        decide_anew(&shared, &OfLeaf::from_objects(&named, limits)?, limits)?
    } else {
        attest_anew(&shared, limits)?
    };
    let same = recorded == now && kind == entry.kind;
    Ok(Rechecked { recorded, now, same })
}

/// Who asked for what, as evidence that holds says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The machine.
    pub node: NodeClaims,
    /// The container.
    pub workload: WorkloadClaims,
    /// Names of the secrets, in the order asked.
    pub secrets: Vec<String>,
}

/// Appraises the evidence of a release or refusal anew from the archive alone; what policy said of it does not matter.
///
/// # Errors
/// What [`recheck`] fails with, and [`RecheckError::EvidenceFails`].
pub fn asked(entry: &Entry, objects: &BTreeMap<String, Vec<u8>>, limits: &Limits) -> Result<Asked, RecheckError> {
    let named = named(entry, objects)?;
    let shared = Shared::from_objects(&named, limits)?;
    let batch = Unverified::parse(&shared.exchange, limits)?;
    let appraisal = appraise_anew(&batch, &shared, limits)?;
    let leaf = OfLeaf::from_objects(&named, limits)?;
    let leaf = leaf.of(&appraisal)?;
    match (appraisal.node_claims(), leaf.workload(), leaf.leaf()) {
        (Some(node), Some(workload), Some(asks)) => Ok(Asked {
            node: node.clone(),
            workload: workload.clone(),
            secrets: asks.secrets.iter().map(|request| request.secret.clone()).collect(),
        }),
        _ => Err(RecheckError::EvidenceFails),
    }
}

/// The objects that the entry names, each with the digest that it names.
fn named(entry: &Entry, objects: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Vec<u8>>, RecheckError> {
    for (role, digest) in entry.objects.iter().filter(|(role, _)| role != role::CIPHERTEXT) {
        let bytes = objects.get(role).ok_or_else(|| RecheckError::Missing { role: role.clone() })?;
        if Digest::of(bytes) != *digest {
            return Err(RecheckError::OtherDigest { role: role.clone() });
        }
    }
    Ok(objects.iter().filter(|(role, _)| entry.object(role).is_some()).map(|(k, v)| (k.clone(), v.clone())).collect())
}
