//! The delivery: sealed secrets and the signed receipt that covers them.
//!
//! Anyone can seal to a public key. So the launcher takes a delivery only with a receipt that the verifier pinned in its own argument
//! vector has signed, for the very leaf that carries its key and its salt.

mod error;
mod session;

pub use error::DeliveryError;
pub use session::{Session, Taken};

use crate::{
    Digest, Limits, SecretRequest,
    cbor::{Decoder, Encoder, Malformed, Problem},
    key::{CertifiedKey, KeyUse, SIGNATURE_LENGTH, SecretKey},
    require,
};

const RECEIPT_DOMAIN: &str = "podseal.receipt.v1";
const DELIVERY_DOMAIN: &str = "podseal.delivery.v1";
const AAD_DOMAIN: &str = "podseal.seal-aad.v1";

/// Claims that one receipt states at most.
const MOST_CLAIMS: usize = 32;

/// A secret as the receipt names it: never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// File and secret, as the leaf asked.
    pub request: SecretRequest,
    /// Version of the secret.
    pub version: u64,
}

/// What the ciphertext is bound to besides its key: HPKE's `aad`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealContext {
    /// The one id of this release in CLI, log, trace and receipt.
    pub audit_id: String,
    /// The leaf's sequence.
    pub sequence: u64,
    /// Digest of the policy that decided.
    pub policy_head: Digest,
    /// What is inside.
    pub secrets: Vec<Released>,
}

impl SealContext {
    fn write(&self, e: Encoder) -> Encoder {
        e.text(&self.audit_id)
            .uint(self.sequence)
            .digest(&self.policy_head)
            .list(&self.secrets, |e, s| e.array(3).text(&s.request.file).text(&s.request.secret).uint(s.version))
    }

    fn read(d: &mut Decoder<'_>, limits: &Limits) -> Result<Self, Malformed> {
        Ok(Self {
            audit_id: d.text("receipt.audit_id", limits.text)?.to_owned(),
            sequence: d.uint("receipt.sequence")?,
            policy_head: d.digest("receipt.policy_head")?,
            secrets: d.list("receipt.secrets", limits.secrets, |d| {
                d.array("receipt.secret", 3)?;
                let file = d.text("receipt.secret.file", 255)?.to_owned();
                let secret = d.text("receipt.secret.name", limits.text)?.to_owned();
                Ok(Released { request: SecretRequest { file, secret }, version: d.uint("receipt.secret.version")? })
            })?,
        })
    }

    /// The bytes given to HPKE.
    #[must_use]
    pub fn aad(&self) -> Vec<u8> {
        self.write(Encoder::message(AAD_DOMAIN, 5)).finish()
    }
}

/// The verifier's signed statement about one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Identity of the verifier.
    pub verifier: Digest,
    /// Audit id, sequence, policy and secrets.
    pub context: SealContext,
    /// `h(leaf)`.
    pub leaf: Digest,
    /// The binding that the hardware signed.
    pub binding: Digest,
    /// `h(ciphertext)`.
    pub ciphertext: Digest,
    /// Position of the entry in the log.
    pub entry_index: u64,
    /// `h` of the entry.
    pub entry: Digest,
    /// When, in seconds since 1970.
    pub issued: u64,
    /// The assurance claims at the time, name and word (`agent`: `self-asserted`), sorted by name.
    pub claims: Vec<(String, String)>,
}

impl Receipt {
    /// The canonical bytes: what gets signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.context
            .write(Encoder::message(RECEIPT_DOMAIN, 13).digest(&self.verifier))
            .digest(&self.leaf)
            .digest(&self.binding)
            .digest(&self.ciphertext)
            .uint(self.entry_index)
            .digest(&self.entry)
            .uint(self.issued)
            .list(&self.claims, |e, (name, word)| e.array(2).text(name).text(word))
            .finish()
    }

    /// Parses verified bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a receipt in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, RECEIPT_DOMAIN, 13, limits)?;
        let receipt = Self {
            verifier: d.digest("receipt.verifier")?,
            context: SealContext::read(&mut d, limits)?,
            leaf: d.digest("receipt.leaf")?,
            binding: d.digest("receipt.binding")?,
            ciphertext: d.digest("receipt.ciphertext")?,
            entry_index: d.uint("receipt.entry_index")?,
            entry: d.digest("receipt.entry")?,
            issued: d.uint("receipt.issued")?,
            claims: Self::read_claims(&mut d, limits)?,
        };
        d.end("receipt")?;
        Ok(receipt)
    }

    fn read_claims(d: &mut Decoder<'_>, limits: &Limits) -> Result<Vec<(String, String)>, Malformed> {
        let at = d.offset();
        let claims = d.list("receipt.claims", MOST_CLAIMS, |d| {
            d.array("receipt.claim", 2)?;
            Ok((d.text("receipt.claim.name", limits.text)?.to_owned(), d.text("receipt.claim.word", limits.text)?.to_owned()))
        })?;
        let sorted = claims.is_sorted_by(|a, b| a.0 < b.0);
        if sorted { Ok(claims) } else { Err(Malformed { item: "receipt.claims", at, problem: Problem::NotSorted }) }
    }
}

/// What travels to the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The receipt's bytes.
    pub receipt: Vec<u8>,
    /// The receipt key's signature over them.
    pub signature: [u8; SIGNATURE_LENGTH],
    /// The receipt key, certified by the root.
    pub receipt_key: Vec<u8>,
    /// Encapsulated key and ciphertext.
    pub ciphertext: Vec<u8>,
}

impl Delivery {
    /// Signs a receipt and puts the delivery together.
    #[must_use]
    pub fn sign(receipt: &Receipt, key: &SecretKey, certified: Vec<u8>, ciphertext: Vec<u8>) -> Self {
        let receipt = receipt.encode();
        let signature = key.sign(&receipt);
        Self { receipt, signature, receipt_key: certified, ciphertext }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DELIVERY_DOMAIN, 5)
            .bytes(&self.receipt)
            .bytes(&self.signature)
            .bytes(&self.receipt_key)
            .bytes(&self.ciphertext)
            .finish()
    }

    /// Parses received bytes; nothing in them is verified yet.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a delivery in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DELIVERY_DOMAIN, 5, limits)?;
        let delivery = Self {
            receipt: d.bytes("delivery.receipt", 256 << 10)?.to_vec(),
            signature: d.exact("delivery.signature")?,
            receipt_key: d.bytes("delivery.receipt_key", 4096)?.to_vec(),
            ciphertext: d.bytes("delivery.ciphertext", limits.frame)?.to_vec(),
        };
        d.end("delivery")?;
        Ok(delivery)
    }

    /// Verifies root, receipt key and signature, then parses the receipt: those bytes. Age plays no part.
    ///
    /// # Errors
    /// The first step that does not hold.
    pub fn verified_receipt(&self, verifier: &Digest, limits: &Limits) -> Result<Receipt, DeliveryError> {
        let key = CertifiedKey::verify(&self.receipt_key, verifier, KeyUse::Receipt, None, limits).map_err(DeliveryError::ReceiptKey)?;
        let signed = key.p256().is_some_and(|key| key.verifies(&self.receipt, &self.signature));
        require(signed, DeliveryError::ReceiptSignature)?;
        let receipt = Receipt::decode(&self.receipt, limits)?;
        require(receipt.verifier == *verifier, DeliveryError::OtherVerifier)?;
        require(receipt.ciphertext == Digest::of(&self.ciphertext), DeliveryError::OtherCiphertext)?;
        Ok(receipt)
    }
}
