//! What the verifier says about a leaf.

use podseal_protocol::Digest;
use podseal_protocol::exchange::Outcome;

use super::super::{Explained, Site};
use crate::error::BenchError;

/// One outcome.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The leaf that it is about.
    pub leaf: Digest,
    /// What became of it.
    pub outcome: Outcome,
}

impl From<(Digest, Outcome)> for Answer {
    fn from((leaf, outcome): (Digest, Outcome)) -> Self {
        Self { leaf, outcome }
    }
}

impl Answer {
    /// The delivery's bytes.
    ///
    /// # Errors
    /// It was refused.
    pub fn delivered(&self, site: &Site) -> Result<&[u8], BenchError> {
        match &self.outcome {
            Outcome::Delivered(delivery) => Ok(delivery),
            Outcome::Refused { reason, audit_id } => {
                let told = site.explain(audit_id).map_or_else(|error| error.to_string(), |explained| explained.told());
                Err(BenchError::answer("the verifier", format!("refused: {reason}\n{told}"), "a delivery"))
            }
        }
    }

    /// What the verifier says about the refusal.
    ///
    /// # Errors
    /// It was released.
    pub fn refused(&self, site: &Site) -> Result<Explained, BenchError> {
        match &self.outcome {
            Outcome::Delivered(_) => Err(BenchError::answer("the verifier", "a delivery", "a refusal")),
            Outcome::Refused { audit_id, .. } => site.explain(audit_id),
        }
    }

    /// The reason that the node is told; empty for a delivery.
    pub fn reason(&self) -> &str {
        match &self.outcome {
            Outcome::Delivered(_) => "",
            Outcome::Refused { reason, .. } => reason,
        }
    }
}
