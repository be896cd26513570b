//! The exchange: one challenge, one piece of evidence, all the leaves that it is bound to; and the verifier's answer.

use crate::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

const REQUEST_DOMAIN: &str = "podseal.exchange.v1";
const REPLY_DOMAIN: &str = "podseal.exchange-reply.v1";

/// What a node sends. Every member is kept as the bytes that were received: those get hashed, and only then parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The challenge, as it was issued.
    pub challenge: Vec<u8>,
    /// The evidence ([`crate::evidence::Evidence`]).
    pub evidence: Vec<u8>,
    /// The leaves ([`crate::Leaf`]), in the order in which the binding has them.
    pub leaves: Vec<Vec<u8>>,
    /// The bytes whose digests the leaves name: OCI specs, pod sets, tokens. Each once, sorted by digest.
    pub attachments: Vec<Vec<u8>>,
}

impl Exchange {
    /// Puts an exchange together; attachments are sorted by digest, each kept once.
    #[must_use]
    pub fn new(challenge: Vec<u8>, evidence: Vec<u8>, leaves: Vec<Vec<u8>>, attachments: Vec<Vec<u8>>) -> Self {
        let mut keyed: Vec<(Digest, Vec<u8>)> = attachments.into_iter().map(|a| (Digest::of(&a), a)).collect();
        keyed.sort_by_key(|(digest, _)| *digest);
        keyed.dedup_by_key(|(digest, _)| *digest);
        Self { challenge, evidence, leaves, attachments: keyed.into_iter().map(|(_, a)| a).collect() }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(REQUEST_DOMAIN, 5)
            .bytes(&self.challenge)
            .bytes(&self.evidence)
            .list(&self.leaves, |e, leaf| e.bytes(leaf))
            .list(&self.attachments, |e, attachment| e.bytes(attachment))
            .finish()
    }

    /// Parses received bytes; the members stay unparsed.
    ///
    /// # Errors
    /// [`Malformed`] when they are not an exchange in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        Self::decode_digested(bytes, limits).map(|(exchange, _)| exchange)
    }

    /// As [`Exchange::decode`], with the digests of the attachments, in their order: checking that order takes them anyway.
    ///
    /// # Errors
    /// As [`Exchange::decode`].
    pub fn decode_digested(bytes: &[u8], limits: &Limits) -> Result<(Self, Vec<Digest>), Malformed> {
        let mut d = Decoder::message(bytes, REQUEST_DOMAIN, 5, limits)?;
        let challenge = d.bytes("exchange.challenge", 4096)?.to_vec();
        let evidence = d.bytes("exchange.evidence", limits.message)?.to_vec();
        let leaves = d.list("exchange.leaves", limits.leaves, |d| d.bytes("exchange.leaf", 64 << 10).map(<[u8]>::to_vec))?;
        let at = d.offset();
        let attachments =
            d.list("exchange.attachments", limits.attachments, |d| d.bytes("exchange.attachment", limits.attachment).map(<[u8]>::to_vec))?;
        d.end("exchange")?;
        let digests: Vec<Digest> = attachments.iter().map(|a| Digest::of(a)).collect();
        if digests.is_sorted_by(|a, b| a < b) {
            Ok((Self { challenge, evidence, leaves, attachments }, digests))
        } else {
            Err(Malformed { item: "exchange.attachments", at, problem: Problem::NotSorted })
        }
    }
}

/// What became of one leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its secrets, sealed: the bytes of a [`crate::delivery::Delivery`].
    Delivered(Vec<u8>),
    /// Nothing was released. The node learns a stable reason code and the audit id, never what would have passed.
    Refused {
        /// Name of the first check that did not pass.
        reason: String,
        /// Under which an operator finds the entry (`podseal explain`).
        audit_id: String,
    },
}

/// The verifier's answer: one outcome a leaf, in their order, and the next challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeReply {
    /// To be used for the next exchange.
    pub next_challenge: Vec<u8>,
    /// `h(leaf)` and what became of it, in the order of the leaves.
    pub outcomes: Vec<(Digest, Outcome)>,
}

impl ExchangeReply {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(REPLY_DOMAIN, 3)
            .bytes(&self.next_challenge)
            .list(&self.outcomes, |e, (leaf, outcome)| match outcome {
                Outcome::Delivered(delivery) => e.array(2).digest(leaf).bytes(delivery),
                Outcome::Refused { reason, audit_id } => e.array(3).digest(leaf).text(reason).text(audit_id),
            })
            .finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a reply in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, REPLY_DOMAIN, 3, limits)?;
        let next_challenge = d.bytes("reply.next_challenge", 4096)?.to_vec();
        let outcomes = d.list("reply.outcomes", limits.leaves, |d| {
            let delivered = d.array_of(&[2, 3], "reply.outcome")? == 2;
            let leaf = d.digest("reply.outcome.leaf")?;
            let outcome = if delivered {
                Outcome::Delivered(d.bytes("reply.outcome.delivery", limits.frame)?.to_vec())
            } else {
                let reason = d.text("reply.outcome.reason", limits.text)?.to_owned();
                Outcome::Refused { reason, audit_id: d.text("reply.outcome.audit_id", limits.text)?.to_owned() }
            };
            Ok((leaf, outcome))
        })?;
        d.end("reply")?;
        Ok(Self { next_challenge, outcomes })
    }
}
