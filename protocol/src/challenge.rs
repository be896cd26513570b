//! The challenge: fresh, for one node, and issued by this verifier without writing anything down.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

const DOMAIN: &str = "podseal.challenge.v1";
const MAC_DOMAIN: &[u8] = b"podseal.challenge-mac.v1";
const MAC_LENGTH: usize = 32;
/// Head and body of the last element, the MAC: `58 20` and 32 bytes.
const MAC_ELEMENT: usize = 2 + MAC_LENGTH;

/// The longest life of a challenge, in seconds.
pub const CHALLENGE_LIFETIME: u64 = 60;

/// What a challenge may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Enrolling a node.
    Join,
    /// Releasing secrets to pods of an enrolled node.
    Release,
}

impl Purpose {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Release => "release",
        }
    }

    /// The purpose of that word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Join, Self::Release].into_iter().find(|purpose| purpose.as_str() == word)
    }

    fn decode(d: &mut Decoder<'_>, item: &'static str) -> Result<Self, Malformed> {
        let at = d.offset();
        Self::parse(d.text(item, 16)?).ok_or(Malformed { item, at, problem: Problem::WrongValue })
    }
}

/// The key under which a verifier's challenges are MACed; all replicas share it. One per epoch.
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// HMAC-SHA256 over `parts`, one after the other.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.state(parts).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.state(parts).verify_slice(tag).is_ok()
    }

    fn state(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // RFC 2104, section 2: a key shorter than the block is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        let mut state = Hmac::<Sha256>::new((&*block).into());
        parts.iter().for_each(|part| state.update(part));
        state
    }
}

/// The fields of a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Identity of the verifier that issued it: `h(root SPKI)`.
    pub verifier: Digest,
    /// Which MAC key.
    pub epoch: u64,
    /// What it may be used for.
    pub purpose: Purpose,
    /// The node it is for.
    pub node: String,
    /// When issued, in seconds since 1970.
    pub issued: u64,
    /// First second in which it is no longer accepted.
    pub expires: u64,
    /// Makes it unique.
    pub random: [u8; 32],
}

impl Challenge {
    /// The bytes of this challenge, MACed under `key`.
    #[must_use]
    pub fn issue(&self, key: &MacKey) -> Vec<u8> {
        let mut bytes = Encoder::message(DOMAIN, 9)
            .digest(&self.verifier)
            .uint(self.epoch)
            .text(self.purpose.as_str())
            .text(&self.node)
            .uint(self.issued)
            .uint(self.expires)
            .bytes(&self.random)
            .finish();
        let tag = key.tag(&[MAC_DOMAIN, &bytes]);
        bytes.extend_from_slice(&[0x58, MAC_LENGTH as u8]);
        bytes.extend_from_slice(&tag);
        bytes
    }
}

/// A challenge as received: well-formed, and nothing more known about it until [`ReceivedChallenge::issued_under`] has said yes.
/// It exists only together with the bytes that were received:
///
/// ```compile_fail,E0451
/// # use podseal_protocol::{Challenge, ReceivedChallenge};
/// fn forge(fields: Challenge) -> ReceivedChallenge {
///     ReceivedChallenge { bytes: Vec::new(), fields }
/// }
/// ```
///
/// ```
/// # use podseal_protocol::{Limits, ReceivedChallenge, cbor::Malformed};
/// fn receive(bytes: &[u8]) -> Result<ReceivedChallenge, Malformed> {
///     ReceivedChallenge::parse(bytes, &Limits::DEFAULT)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedChallenge {
    bytes: Vec<u8>,
    fields: Challenge,
}

impl ReceivedChallenge {
    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a challenge in its canonical form.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 9, limits)?;
        let fields = Challenge {
            verifier: d.digest("challenge.verifier")?,
            epoch: d.uint("challenge.epoch")?,
            purpose: Purpose::decode(&mut d, "challenge.purpose")?,
            node: d.text("challenge.node", limits.text)?.to_owned(),
            issued: d.uint("challenge.issued")?,
            expires: d.uint("challenge.expires")?,
            random: d.exact("challenge.random")?,
        };
        d.exact::<MAC_LENGTH>("challenge.mac")?;
        d.end("challenge")?;
        Ok(Self { bytes: bytes.to_vec(), fields })
    }

    /// Whether `key` made the MAC: over the received bytes, in constant time.
    #[must_use]
    pub fn issued_under(&self, key: &MacKey) -> bool {
        self.bytes
            .split_at_checked(self.bytes.len().saturating_sub(MAC_ELEMENT))
            .is_some_and(|(body, tag)| key.matches(&[MAC_DOMAIN, body], tag.get(2..).unwrap_or_default()))
    }

    /// The fields as received.
    #[must_use]
    pub fn fields(&self) -> &Challenge {
        &self.fields
    }

    /// `h(challenge)`: what the binding covers and what is spent.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}
