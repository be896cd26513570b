//! What launcher and attester say to each other over the Unix socket: one frame each way.
//!
//! A frame is a length (32 bits, big-endian) and that many bytes of message. The launcher sends key, salt and the cluster's token, which
//! the verifier checks by its signature; it says nothing about who it is. Kernel and runtime do.

use crate::{
    Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
    key::{PUBLIC_KEY_LENGTH, PublicKey},
};

const REQUEST_DOMAIN: &str = "podseal.workload-request.v1";
const REPLY_DOMAIN: &str = "podseal.workload-reply.v1";

/// Longest service-account token that is taken, in bytes.
pub const TOKEN_LENGTH: usize = 16 << 10;

/// The bytes before a message.
pub const HEAD_LENGTH: usize = 4;

/// A whole frame.
///
/// # Errors
/// [`Malformed`] when the message is empty or longer than `limits.frame`: what [`length`] would not take.
pub fn frame(message: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    let head = u32::try_from(message.len()).map_err(|_| Malformed { item: "frame", at: 0, problem: Problem::TooLong })?.to_be_bytes();
    length(head, limits)?;
    Ok([&head, message].concat())
}

/// How many bytes follow `head`.
///
/// # Errors
/// [`Malformed`] when that is none, or more than `limits.frame`.
pub fn length(head: [u8; HEAD_LENGTH], limits: &Limits) -> Result<usize, Malformed> {
    match usize::try_from(u32::from_be_bytes(head)) {
        Ok(0) => Err(Malformed { item: "frame", at: 0, problem: Problem::WrongLength }),
        Ok(length) if length <= limits.frame => Ok(length),
        _ => Err(Malformed { item: "frame", at: 0, problem: Problem::TooLong }),
    }
}

/// What the launcher sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRequest {
    /// Fresh for this container start.
    pub salt: [u8; 32],
    /// Born in this container.
    pub workload_key: PublicKey,
    /// The pod-bound service-account token from `/podseal/token`; empty where there is none.
    pub token: Vec<u8>,
}

impl WorkloadRequest {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(REQUEST_DOMAIN, 4).bytes(&self.salt).bytes(self.workload_key.as_bytes()).bytes(&self.token).finish()
    }

    /// Parses received bytes; any further field makes them malformed.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a request in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, REQUEST_DOMAIN, 4, limits)?;
        let salt = d.exact("request.salt")?;
        let at = d.offset();
        let key = d.exact::<PUBLIC_KEY_LENGTH>("request.workload_key")?;
        let wrong = Malformed { item: "request.workload_key", at, problem: Problem::WrongValue };
        let workload_key = PublicKey::from_bytes(&key).ok_or(wrong)?;
        let token = d.bytes("request.token", TOKEN_LENGTH)?.to_vec();
        d.end("request")?;
        Ok(Self { salt, workload_key, token })
    }
}

/// What the attester answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkloadReply {
    /// The secrets, sealed.
    Delivered {
        /// The leaf that was answered, as it was bound.
        leaf: Vec<u8>,
        /// A [`crate::delivery::Delivery`].
        delivery: Vec<u8>,
        /// The image's own Entrypoint.
        entrypoint: Vec<String>,
        /// The image's own Cmd.
        cmd: Vec<String>,
    },
    /// Nothing was released.
    Refused {
        /// Stable code: name of the first check that did not pass.
        reason: String,
        /// Under which an operator finds the entry; empty where the verifier has none.
        audit_id: String,
        /// One sentence for the developer: what to do.
        advice: String,
        /// Whether asking again may help (the verifier was away); a decided refusal is final.
        retry: bool,
    },
}

impl WorkloadReply {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Delivered { leaf, delivery, entrypoint, cmd } => Encoder::message(REPLY_DOMAIN, 6)
                .uint(0)
                .bytes(leaf)
                .bytes(delivery)
                .list(entrypoint, |e, word| e.text(word))
                .list(cmd, |e, word| e.text(word))
                .finish(),
            Self::Refused { reason, audit_id, advice, retry } => {
                Encoder::message(REPLY_DOMAIN, 6).uint(1).text(reason).text(audit_id).text(advice).uint(u64::from(*retry)).finish()
            }
        }
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a reply in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, REPLY_DOMAIN, 6, limits)?;
        let reply = if d.uint_up_to("reply.kind", 1)? == 0 {
            let word = |d: &mut Decoder<'_>| d.text("reply.command", 64 << 10).map(str::to_owned);
            Self::Delivered {
                leaf: d.bytes("reply.leaf", 64 << 10)?.to_vec(),
                delivery: d.bytes("reply.delivery", limits.frame)?.to_vec(),
                entrypoint: d.list("reply.entrypoint", 1024, word)?,
                cmd: d.list("reply.cmd", 1024, word)?,
            }
        } else {
            Self::Refused {
                reason: d.text("reply.reason", limits.text)?.to_owned(),
                audit_id: d.text("reply.audit_id", limits.text)?.to_owned(),
                advice: d.text("reply.advice", 4096)?.to_owned(),
                retry: d.uint_up_to("reply.retry", 1)? == 1,
            }
        };
        d.end("reply")?;
        Ok(reply)
    }
}
