//! What is archived of a change of state.

use podseal_protocol::{
    Limits,
    cbor::{Decoder, Encoder, Malformed},
};

const DOMAIN: &str = "podseal.change.v1";

/// What is archived of a change under the role `change`. Never a value; the salt keeps what is guessable out of the entry's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Random.
    pub salt: [u8; 16],
    /// Kind of change.
    pub kind: String,
    /// What was changed.
    pub subject: String,
    /// The version that was put; 0 for everything but secrets.
    pub version: u64,
    /// `admin NAME` or `node NAME`.
    pub actor: String,
}

impl ChangeRecord {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DOMAIN, 6).bytes(&self.salt).text(&self.kind).text(&self.subject).uint(self.version).text(&self.actor).finish()
    }

    /// Parses archived bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not in their canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 6, limits)?;
        let record = Self {
            salt: d.exact("change.salt")?,
            kind: d.text("change.kind", 32)?.to_owned(),
            subject: d.text("change.subject", limits.text)?.to_owned(),
            version: d.uint("change.version")?,
            actor: d.text("change.actor", limits.text)?.to_owned(),
        };
        d.end("change")?;
        Ok(record)
    }
}
