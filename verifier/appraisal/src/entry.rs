//! A log entry: what happened, and the digests of everything that it was decided on. Never a value, and nothing about a person.

use podseal_protocol::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

use crate::policy::{BASELINE, SCHEMA};

const DOMAIN: &str = "podseal.entry.v1";
/// Inputs and results that one entry names at most.
const MOST_OBJECTS: usize = 64;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Secrets went to one container.
    Released,
    /// An authentic request got nothing.
    Refused,
    /// A node's evidence held, for the first time since it booted, or since it did not hold.
    Attested,
    /// State was changed by an administrator or by the enrolment of a node.
    Changed,
}

impl EntryKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Attested => "attested",
            Self::Changed => "changed",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Released, Self::Refused, Self::Attested, Self::Changed].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What decided: the program's version, and the digest of the schema and the baseline that are compiled into it.
#[must_use]
pub fn engine() -> String {
    let compiled_in = Digest::of(&[SCHEMA.as_bytes(), BASELINE.as_bytes()].concat());
    format!("podseal {} {compiled_in}", env!("CARGO_PKG_VERSION"))
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The one id in CLI, log, trace and receipt.
    pub audit_id: String,
    /// Seconds since 1970.
    pub time: u64,
    /// What happened.
    pub kind: EntryKind,
    /// Version of the engine that decided.
    pub engine: String,
    /// Role and digest of every input and result, sorted by role, each role once. Archived under the digest, but for `ciphertext`.
    pub objects: Vec<(String, Digest)>,
}

impl Entry {
    /// Sorts the objects; a role given twice is kept once.
    #[must_use]
    pub fn new(audit_id: String, time: u64, kind: EntryKind, mut objects: Vec<(String, Digest)>) -> Self {
        objects.sort();
        objects.dedup_by(|a, b| a.0 == b.0);
        Self { audit_id, time, kind, engine: engine(), objects }
    }

    /// The digest in one role.
    #[must_use]
    pub fn object(&self, role: &str) -> Option<Digest> {
        self.objects.iter().find(|(found, _)| found == role).map(|(_, digest)| *digest)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DOMAIN, 6)
            .text(&self.audit_id)
            .uint(self.time)
            .text(self.kind.as_str())
            .text(&self.engine)
            .list(&self.objects, |e, (role, digest)| e.array(2).text(role).digest(digest))
            .finish()
    }

    /// Parses an entry of the log.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 6, limits)?;
        let audit_id = d.text("entry.audit_id", limits.text)?.to_owned();
        let time = d.uint("entry.time")?;
        let at = d.offset();
        let kind = EntryKind::parse(d.text("entry.kind", 16)?);
        let kind = kind.ok_or(Malformed { item: "entry.kind", at, problem: Problem::WrongValue })?;
        let engine = d.text("entry.engine", limits.text)?.to_owned();
        let at = d.offset();
        let objects = d.list("entry.objects", MOST_OBJECTS, |d| {
            d.array("entry.object", 2)?;
            Ok((d.text("entry.object.role", 64)?.to_owned(), d.digest("entry.object.digest")?))
        })?;
        d.end("entry")?;
        if objects.is_sorted_by(|a, b| a.0 < b.0) {
            Ok(Self { audit_id, time, kind, engine, objects })
        } else {
            Err(Malformed { item: "entry.objects", at, problem: Problem::NotSorted })
        }
    }
}
