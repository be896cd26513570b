//! The pod log: every container and every exec of a node since it booted. A TCG Canonical Event Log (TCG IWG CEL 1.0, section 5, TLV encoding)
//! whose records are extended into one [`Register`] of the node's hardware, each by the digest of its content.
//!
//! A record is four fields, in this order: number, register, digests (of the register's bank alone), content. A field is its type (8 bits),
//! its length (32 bits, big-endian) and its value. The content is the canonical CBOR of an [`Event`]. For a register there is one encoding
//! of a record.
//!
//! What evidence says of a log is a chain of SHA-256, whatever the register's bank is: see [`Standing`].

mod exceptions;
mod records;
mod register;

pub use exceptions::exceptions;
pub use records::Records;
pub use register::{Digests, REGISTER, Register, Standing};
use sha2::{Digest as _, Sha256};

use crate::{
    Bank, BankDigest, Digest, Limits,
    binding::PodLogHead,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

const DOMAIN: &str = "podseal.pod-event.v1";
/// Field types (TCG IWG CEL 1.0, section 5.1).
const RECORD_NUMBER: u8 = 0;
const PCR: u8 = 1;
const DIGESTS: u8 = 3;
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
        /// What the register held before this record was extended into it. Others may extend it before (systemd-pcrextend does).
        register: BankDigest,
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
                e.array(4).uint(1).text(boot_id).bytes(register.as_ref()).list(exceptions, |e, name| e.text(name))
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

    fn decode(bytes: &[u8], bank: Bank, limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 2, limits)?;
        let at = d.offset();
        let arity = d.array_of(&[1, 2, 3, 4, 10], "pod_event")?;
        let event = match (arity, d.uint("pod_event.tag")?) {
            (4, 1) => Self::Began {
                boot_id: d.text("pod_event.boot_id", limits.text)?.to_owned(),
                register: held(&mut d, bank)?,
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

/// What a register of this bank held.
fn held(d: &mut Decoder<'_>, bank: Bank) -> Result<BankDigest, Malformed> {
    let (item, at) = ("pod_event.register", d.offset());
    let bytes = d.bytes(item, bank.size())?;
    BankDigest::from_bytes(bank, bytes).ok_or(Malformed { item, at, problem: Problem::WrongLength })
}

impl Record {
    /// The record's bytes, for a log that is kept in `register`.
    #[must_use]
    pub fn encode(&self, register: Register) -> Vec<u8> {
        let content = self.event.content();
        let digests = field(DIGESTS, &digest_field(&register.bank().digest(&content)));
        [field(RECORD_NUMBER, &self.number.to_be_bytes()), field(PCR, &[register.index()]), digests, content].concat()
    }

    /// What the chain goes on by: SHA-256 of the content field.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.event.content())
    }

    /// What the chain goes on by, and what a register of `bank` is extended by.
    #[must_use]
    pub fn digests(&self, bank: Bank) -> Digests {
        Digests::of(bank, &self.event.content())
    }
}

/// A digest behind its `TPM_ALG_ID`.
fn digest_field(digest: &BankDigest) -> Vec<u8> {
    // The registry's hashes have small numbers.
    field(digest.bank().algorithm().to_be_bytes()[1], digest.as_ref())
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

impl PodLogHead {
    /// After one more record.
    #[must_use]
    pub fn and(self, digest: &Digest) -> Self {
        Self { length: self.length.saturating_add(1), head: extended(&self.head, digest) }
    }
}
