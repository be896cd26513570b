//! Why a launcher does not take a delivery.

use crate::{cbor::Malformed, key::KeyError, seal::SealError};

/// Why a launcher does not take a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryError {
    /// Not in its canonical form.
    Malformed(Malformed),
    /// The receipt key is not one that the pinned verifier certified.
    ReceiptKey(KeyError),
    /// The receipt's signature does not hold.
    ReceiptSignature,
    /// The receipt names another verifier than the one pinned.
    OtherVerifier,
    /// The receipt is about another ciphertext.
    OtherCiphertext,
    /// The receipt is about another leaf than the one that came with it.
    OtherLeaf,
    /// The leaf has another key than this session's.
    OtherKey,
    /// The leaf has another salt than this session's.
    OtherSalt,
    /// The sequence did not grow: this delivery was taken before, or an older one comes again.
    SequenceNotGrown {
        /// Of the last delivery taken, 0 for none.
        last: u64,
        /// Of this one.
        found: u64,
    },
    /// Leaf and receipt disagree about the sequence.
    OtherSequence,
    /// The receipt names other secrets than the leaf asked for, or in another order.
    OtherSecrets,
    /// The files inside are not the ones that the receipt names.
    OtherFiles,
    /// It did not open.
    Seal(SealError),
}

impl core::fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (problem, remedy) = match self {
            Self::Malformed(e) => return e.fmt(f),
            Self::ReceiptKey(e) => return write!(f, "receipt key: {e}"),
            Self::Seal(e) => return e.fmt(f),
            Self::SequenceNotGrown { last, found } => {
                return write!(f, "sequence {found} comes after {last}: this delivery was taken before; ask again with a higher sequence");
            }
            Self::ReceiptSignature => ("the receipt's signature does not hold", "ask again; if it stays so, somebody alters deliveries"),
            Self::OtherVerifier => ("the receipt names another verifier than --verifier", "find out who answers"),
            Self::OtherCiphertext => ("the receipt is about another ciphertext", RESTART),
            Self::OtherLeaf => ("the receipt is about another container's request", RESTART),
            Self::OtherKey => ("the request that was answered carries another key than this container's", RESTART),
            Self::OtherSalt => ("the request that was answered carries another salt than this container's", RESTART),
            Self::OtherSequence => ("request and receipt disagree about the sequence", RESTART),
            Self::OtherSecrets => ("the receipt names other secrets than the request asked for", REPORT),
            Self::OtherFiles => ("the files inside are not the ones that the receipt names", REPORT),
        };
        write!(f, "{problem}: {remedy}")
    }
}

/// What to do where the node's side mixed things up.
const RESTART: &str = "start the container again; if it stays so, look at the node attester of this node";
/// What to do where the verifier signed something inconsistent.
const REPORT: &str = "report it to the verifier's operator with the audit id";

impl core::error::Error for DeliveryError {}

impl From<Malformed> for DeliveryError {
    fn from(e: Malformed) -> Self {
        Self::Malformed(e)
    }
}
