//! A batch as it came: well-formed, and nothing more.

use std::collections::{BTreeMap, BTreeSet};

use podseal_protocol::{
    Digest, Leaf, Limits, ReceivedChallenge,
    cbor::{Malformed, Problem},
    evidence::Evidence,
    exchange::Exchange,
    require,
};

use crate::{endorsement::Endorsement, machine};

/// What one leaf names: OCI spec, pod set, token.
const NAMED_BY_A_LEAF: usize = 3;

/// A received exchange. Nothing in it can be read before it is appraised, but what has to be looked up for that ([`Unverified::needs`]), and
/// the leaves' digests.
///
/// ```compile_fail,E0616
/// # use podseal_appraisal::batch::Unverified;
/// fn decide_on_what_was_claimed(batch: &Unverified) -> &str {
///     &batch.evidence.node
/// }
/// ```
///
/// ```
/// # use podseal_appraisal::batch::Unverified;
/// fn look_up(batch: &Unverified) -> &str {
///     batch.needs().node
/// }
/// ```
#[derive(Debug)]
pub struct Unverified {
    pub(crate) challenge: ReceivedChallenge,
    pub(crate) evidence: Evidence,
    pub(crate) evidence_digest: Digest,
    pub(crate) leaves: Vec<UnverifiedLeaf>,
    pub(crate) attachments: BTreeMap<Digest, Vec<u8>>,
}

/// One leaf: its digest, which the binding has, and what it says, if it is a leaf.
#[derive(Debug)]
pub(crate) struct UnverifiedLeaf {
    pub(crate) digest: Digest,
    pub(crate) parsed: Result<Leaf, Malformed>,
}

/// What must be looked up before a batch can be appraised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs<'a> {
    /// The node whose registration decides.
    pub node: &'a str,
    /// The challenge: its MAC is compared, and it is what gets spent.
    pub challenge: &'a ReceivedChallenge,
    /// What the maker of the hardware says of it, by what the evidence says of itself.
    pub endorsements: BTreeSet<Endorsement>,
}

impl Unverified {
    /// Parses received bytes. A leaf that is none fails by itself, later: it must not spoil the others.
    ///
    /// # Errors
    /// [`Malformed`] when exchange, challenge or evidence are not in their canonical form.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let (exchange, digests) = Exchange::decode_digested(bytes, limits)?;
        let parse_leaf = |bytes: &Vec<u8>| UnverifiedLeaf { digest: Digest::of(bytes), parsed: Leaf::decode(bytes, limits) };
        let batch = Self {
            challenge: ReceivedChallenge::parse(&exchange.challenge, limits)?,
            evidence: Evidence::decode(&exchange.evidence, limits)?,
            evidence_digest: Digest::of(&exchange.evidence),
            leaves: exchange.leaves.iter().map(parse_leaf).collect(),
            attachments: digests.into_iter().zip(exchange.attachments).collect(),
        };
        // What no leaf names was signed by nobody, and is not carried into the archive: no more than the leaves can name.
        let most = batch.leaves.len().max(1) * NAMED_BY_A_LEAF;
        require(batch.attachments.len() <= most, Malformed { item: "exchange.attachments", at: 0, problem: Problem::WrongLength })?;
        Ok(batch)
    }

    /// What to look up.
    #[must_use]
    pub fn needs(&self) -> Needs<'_> {
        Needs { node: &self.evidence.node, challenge: &self.challenge, endorsements: machine::needs(&self.evidence) }
    }

    /// Whether the evidence comes alone: its node asks for nothing, and attests.
    #[must_use]
    pub fn is_of_node_alone(&self) -> bool {
        self.leaves.is_empty()
    }

    /// What a refusal of all of it goes by: the digests of the leaves, in their order; without leaves that of the evidence.
    pub fn answered(&self) -> impl Iterator<Item = Digest> {
        self.leaf_digests().chain(self.is_of_node_alone().then_some(self.evidence_digest))
    }

    /// Digests of the leaves, in their order: what the answers go by.
    pub fn leaf_digests(&self) -> impl Iterator<Item = Digest> {
        self.leaves.iter().map(|leaf| leaf.digest)
    }
}
