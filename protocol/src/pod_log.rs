//! The pod log: every container and every exec of a node since it booted. A TCG Canonical Event Log (TCG IWG CEL 1.0, section 5, TLV encoding)
//! whose records are extended into register 13 of the TPM, each by the digest of its content.
//!
//! A record is four fields, in this order: number, register, digests (SHA-256 alone), content. A field is its type (8 bits), its length
//! (32 bits, big-endian) and its value. The content is the canonical CBOR of an [`Event`]. There is one encoding of a record.

mod exceptions;

use sha2::{Digest as _, Sha256};

pub use exceptions::exceptions;

use crate::{
    Digest, Limits,
    binding::PodLogHead,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

/// The register that records are extended into. Others may extend it before (systemd-pcrextend does): the first record says what it was.
pub const REGISTER: u8 = 13;

const DOMAIN: &str = "podseal.pod-event.v1";
/// Field types (TCG IWG CEL 1.0, section 5.1).
const RECORD_NUMBER: u8 = 0;
const PCR: u8 = 1;
const DIGESTS: u8 = 3;
/// TPM_ALG_SHA256 (TCG Algorithm Registry).
const SHA256: u8 = 0x0b;
/// Our content. The specification leaves 80 and above to others; 80 is taken (Container-Optimized OS).
const CONTENT: u8 = 0x51;
/// Type and length.
const HEAD: usize = 5;
/// Longest content of a record.
const CONTENT_LENGTH: usize = 4096;

/// One thing that happened on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The log begins: the first record, and no other.
    Began {
        /// The kernel's boot id.
        boot_id: String,
        /// What the register held before this record was extended into it.
        register: Digest,
        /// Names of the restrictions that the attester does without: ascending, each once, of lower-case letters and dashes; see
        /// [`exceptions`].
        exceptions: Vec<String>,
    },
    /// The attester started again, and goes on with the log that it left.
    AttesterRestarted {
        /// As [`Event::Began`] has them: those of this start.
        exceptions: Vec<String>,
    },
    /// The runtime's events were not heard for a while. Containers were compared with the runtime's list since; an exec in between was missed.
    Interrupted,
    /// A container, or a pod's sandbox, was started.
    Started(Started),
    /// A process was started in a container besides its own.
    Exec {
        /// The runtime's id of the container.
        container_id: String,
        /// The runtime's id of the exec.
        exec_id: String,
    },
    /// A container, or a pod's sandbox, ended.
    Ended {
        /// The runtime's id of the container.
        container_id: String,
    },
}

/// A container that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The runtime's id of it.
    pub container_id: String,
    /// Whether it is a pod's sandbox.
    pub sandbox: bool,
    /// UID of the pod; empty for what belongs to none.
    pub pod_uid: String,
    /// Namespace of the pod; empty for what belongs to none.
    pub namespace: String,
    /// Name of the pod; empty for what belongs to none.
    pub pod: String,
    /// Name within the pod; empty for sandboxes and for what belongs to no pod.
    pub container: String,
    /// The image, as the runtime names it: with its manifest's digest where it has one.
    pub image: String,
    /// Runs privileged, or the runtime did not say that it does not.
    pub privileged: bool,
    /// Whether its start was heard. Else it was found running, and what was done in it before is not known.
    pub heard: bool,
}

/// One record, with the digest that is extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counts from 0.
    pub number: u64,
    /// What happened.
    pub event: Event,
}

impl Event {
    fn content(&self) -> Vec<u8> {
        let e = Encoder::message(DOMAIN, 2);
        let cbor = match self {
            Self::Began { boot_id, register, exceptions } => {
                e.array(4).uint(1).text(boot_id).digest(register).list(exceptions, |e, name| e.text(name))
            }
            Self::AttesterRestarted { exceptions } => e.array(2).uint(2).list(exceptions, |e, name| e.text(name)),
            Self::Interrupted => e.array(1).uint(3),
            Self::Started(s) => e
                .array(10)
                .uint(4)
                .text(&s.container_id)
                .uint(u64::from(s.sandbox))
                .text(&s.pod_uid)
                .text(&s.namespace)
                .text(&s.pod)
                .text(&s.container)
                .text(&s.image)
                .uint(u64::from(s.privileged))
                .uint(u64::from(s.heard)),
            Self::Exec { container_id, exec_id } => e.array(3).uint(5).text(container_id).text(exec_id),
            Self::Ended { container_id } => e.array(2).uint(6).text(container_id),
        };
        field(CONTENT, &cbor.finish())
    }

    fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 2, limits)?;
        let at = d.offset();
        let arity = d.array_of(&[1, 2, 3, 4, 10], "pod_event")?;
        let event = match (arity, d.uint("pod_event.tag")?) {
            (4, 1) => Self::Began {
                boot_id: d.text("pod_event.boot_id", limits.text)?.to_owned(),
                register: d.digest("pod_event.register")?,
                exceptions: exceptions(&mut d, "pod_event.exceptions", "pod_event.exception")?,
            },
            (2, 2) => Self::AttesterRestarted { exceptions: exceptions(&mut d, "pod_event.exceptions", "pod_event.exception")? },
            (1, 3) => Self::Interrupted,
            (10, 4) => Self::Started(Started {
                container_id: d.text("pod_event.container_id", limits.text)?.to_owned(),
                sandbox: d.uint_up_to("pod_event.sandbox", 1)? == 1,
                pod_uid: d.text("pod_event.pod_uid", limits.text)?.to_owned(),
                namespace: d.text("pod_event.namespace", limits.text)?.to_owned(),
                pod: d.text("pod_event.pod", limits.text)?.to_owned(),
                container: d.text("pod_event.container", limits.text)?.to_owned(),
                image: d.text("pod_event.image", limits.text)?.to_owned(),
                privileged: d.uint_up_to("pod_event.privileged", 1)? == 1,
                heard: d.uint_up_to("pod_event.heard", 1)? == 1,
            }),
            (3, 5) => Self::Exec {
                container_id: d.text("pod_event.container_id", limits.text)?.to_owned(),
                exec_id: d.text("pod_event.exec_id", limits.text)?.to_owned(),
            },
            (2, 6) => Self::Ended { container_id: d.text("pod_event.container_id", limits.text)?.to_owned() },
            _ => return Err(Malformed { item: "pod_event.tag", at, problem: Problem::WrongValue }),
        };
        d.end("pod_event")?;
        Ok(event)
    }
}

impl Record {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let content = self.event.content();
        let digests = field(DIGESTS, &field(SHA256, Digest::of(&content).as_ref()));
        [field(RECORD_NUMBER, &self.number.to_be_bytes()), field(PCR, &[REGISTER]), digests, content].concat()
    }

    /// What is extended: SHA-256 of the content field.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.event.content())
    }
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    // No value here is longer than a few thousand bytes: names have limits, and an encoder of longer ones is refused by every decoder.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind][..], &length, value].concat()
}

/// The register after `digest` was extended into it (TPM 2.0 Part 1, section 17.4).
#[must_use]
pub fn extended(register: &Digest, digest: &Digest) -> Digest {
    Digest(Sha256::new().chain_update(register).chain_update(digest).finalize().into())
}

/// Whether these bytes are a record's content, whatever event it may be: what is extended for a record is the hash of such bytes alone.
#[must_use]
pub fn is_content(bytes: &[u8]) -> bool {
    // Behind the field's head stand those of the array and of the domain string.
    bytes.first() == Some(&CONTENT) && bytes.get(HEAD + 2..).is_some_and(|text| text.starts_with(DOMAIN.as_bytes()))
}

/// Reads records one after the other, from a number on. An error ends it.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    length: usize,
    next: u64,
    limits: Limits,
}

impl<'a> Records<'a> {
    /// Records that begin with number `from`.
    #[must_use]
    pub fn new(bytes: &'a [u8], from: u64, limits: &Limits) -> Self {
        Self { rest: bytes, length: bytes.len(), next: from, limits: *limits }
    }

    fn record(&mut self) -> Result<(Record, Digest), Malformed> {
        let at = self.at();
        let number = self.field("pod_log.number", RECORD_NUMBER, 8)?;
        let wrong = |item, problem| Malformed { item, at, problem };
        if number != self.next.to_be_bytes() {
            return Err(wrong("pod_log.number", Problem::WrongValue));
        }
        if self.field("pod_log.register", PCR, 1)? != [REGISTER] {
            return Err(wrong("pod_log.register", Problem::WrongValue));
        }
        let digests = self.field("pod_log.digests", DIGESTS, HEAD + 32)?;
        let before = self.rest;
        let content = self.field("pod_log.content", CONTENT, CONTENT_LENGTH)?;
        let digest = Digest::of(before.get(..HEAD + content.len()).unwrap_or_default());
        if digests != field(SHA256, digest.as_ref()) {
            return Err(wrong("pod_log.digests", Problem::WrongValue));
        }
        let event = Event::decode(content, &self.limits)?;
        let number = self.next;
        self.next = number.checked_add(1).ok_or(wrong("pod_log.number", Problem::WrongValue))?;
        Ok((Record { number, event }, digest))
    }

    fn field(&mut self, item: &'static str, kind: u8, most: usize) -> Result<&'a [u8], Malformed> {
        let at = self.at();
        let wrong = |problem| Malformed { item, at, problem };
        let (head, rest) = self.rest.split_first_chunk::<HEAD>().ok_or(wrong(Problem::Truncated))?;
        let [found, a, b, c, d] = *head;
        if found != kind {
            return Err(wrong(Problem::WrongType));
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > most {
            return Err(wrong(Problem::TooLong));
        }
        let (value, rest) = rest.split_at_checked(length).ok_or(wrong(Problem::Truncated))?;
        self.rest = rest;
        Ok(value)
    }

    fn at(&self) -> usize {
        self.length - self.rest.len()
    }
}

impl Iterator for Records<'_> {
    /// The record, and the digest that it was extended by.
    type Item = Result<(Record, Digest), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

impl PodLogHead {
    /// After one more record.
    #[must_use]
    pub fn and(self, digest: &Digest) -> Self {
        Self { length: self.length.saturating_add(1), head: extended(&self.head, digest) }
    }
}
