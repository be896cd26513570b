//! P-256 keys, and the statements by which a verifier's root certifies the keys that it uses.
//!
//! A verifier *is* its root key: its identity is `h(SPKI of the root)`, never a name. Launchers, nodes and operators pin that digest, so
//! every other key can be replaced without touching the fleet.

use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};

use crate::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
    require,
};

const STATEMENT_DOMAIN: &str = "podseal.key.v1";
const CERTIFIED_DOMAIN: &str = "podseal.certified-key.v1";

/// An uncompressed point: `04`, x, y (SEC 1, section 2.3.3).
pub const PUBLIC_KEY_LENGTH: usize = 65;
/// r and s, 32 bytes each, big-endian.
pub const SIGNATURE_LENGTH: usize = 64;

/// SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1, BIT STRING of 66 bytes (RFC 5480, section 2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

/// A point on P-256, uncompressed. Bytes become one only by way of the curve's equation:
///
/// ```compile_fail,E0423
/// use podseal_protocol::key::PublicKey;
/// let unchecked = PublicKey([4; 65]);
/// ```
///
/// ```
/// use podseal_protocol::key::PublicKey;
/// assert_eq!(PublicKey::from_bytes(&[4; 65]), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; PUBLIC_KEY_LENGTH]);

impl PublicKey {
    /// Takes an uncompressed point; `None` when it is not one on the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; PUBLIC_KEY_LENGTH] = bytes.try_into().ok()?;
        VerifyingKey::from_sec1_bytes(&bytes).ok()?;
        Some(Self(bytes))
    }

    /// Takes a SubjectPublicKeyInfo in DER, as [`PublicKey::to_spki`] writes it.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        Self::from_bytes(der.strip_prefix(&SPKI_PREFIX)?)
    }

    /// The uncompressed point.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LENGTH] {
        &self.0
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.0].concat()
    }

    /// Whether `signature` is this key's ECDSA/SHA-256 signature over `message` (FIPS 186-5, section 6.4.2), in its low form: s is not
    /// above half the group order. Both s and -s satisfy the equation; with one form only, nobody makes a second signature of a first.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
        match (VerifyingKey::from_sec1_bytes(&self.0), Signature::from_slice(signature)) {
            (Ok(key), Ok(signature)) => signature.normalize_s() == signature && key.verify(message, &signature).is_ok(),
            _ => false,
        }
    }
}

/// A P-256 key that signs; deterministic (RFC 6979), wiped when dropped. It cannot be shown:
///
/// ```compile_fail,E0277
/// # use podseal_protocol::key::SecretKey;
/// fn show(key: &SecretKey) -> String {
///     format!("{key:?}")
/// }
/// ```
///
/// ```
/// # use podseal_protocol::key::SecretKey;
/// fn show(key: &SecretKey) -> String {
///     format!("{:?}", key.public())
/// }
/// ```
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Takes a 32-byte scalar; `None` when it is zero or not below the group order.
    #[must_use]
    pub fn from_scalar(scalar: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(scalar).ok().map(Self)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(false);
        let mut bytes = [0; PUBLIC_KEY_LENGTH];
        bytes.copy_from_slice(point.as_bytes());
        PublicKey(bytes)
    }

    /// ECDSA/SHA-256 over `message`, in the low form that [`PublicKey::verifies`] wants.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        let signature: Signature = self.0.sign(message);
        signature.normalize_s().to_bytes().into()
    }
}

/// What a certified key is for. One key, one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Signs receipts of deliveries. P-256.
    Receipt,
    /// Signs checkpoints of the log. Ed25519.
    Log,
    /// Secrets are sealed to it on an operator's machine. P-256.
    Import,
}

impl KeyUse {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Log => "log",
            Self::Import => "import",
        }
    }
}

/// What the root says of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatement {
    /// The one use of the key.
    pub key_use: KeyUse,
    /// The key: an uncompressed P-256 point, or 32 bytes of Ed25519 for [`KeyUse::Log`].
    pub key: Vec<u8>,
    /// First second of validity, since 1970.
    pub not_before: u64,
    /// First second after it.
    pub not_after: u64,
}

impl KeyStatement {
    /// The certified key: root, statement and the root's signature.
    #[must_use]
    pub fn certify(&self, root: &SecretKey) -> Vec<u8> {
        let statement = Encoder::message(STATEMENT_DOMAIN, 5)
            .text(self.key_use.as_str())
            .bytes(&self.key)
            .uint(self.not_before)
            .uint(self.not_after)
            .finish();
        let signature = root.sign(&statement);
        Encoder::message(CERTIFIED_DOMAIN, 4).bytes(&root.public().to_spki()).bytes(&statement).bytes(&signature).finish()
    }
}

/// Why a certified key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// Not in its canonical form.
    Malformed(Malformed),
    /// The root is another verifier's.
    OtherVerifier {
        /// Identity pinned.
        wanted: Digest,
        /// Identity of the root that came with it.
        found: Digest,
    },
    /// The root did not sign the statement.
    RootSignature,
    /// The key is certified for another use.
    OtherUse,
    /// The key is not valid at this time.
    NotValidNow {
        /// First second of validity.
        not_before: u64,
        /// First second after it.
        not_after: u64,
        /// The time of the check.
        now: u64,
    },
}

impl core::fmt::Display for KeyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Malformed(e) => e.fmt(f),
            Self::OtherVerifier { wanted, found } => {
                write!(f, "the key belongs to verifier {found}, pinned is {wanted}: correct the pinned identity, or find out who answers")
            }
            Self::RootSignature => {
                f.write_str("the verifier's root did not sign this key: fetch the certified key again; if it stays so, somebody altered it")
            }
            Self::OtherUse => f.write_str("the key is certified for another use: a key serves one use, fetch the one for this"),
            Self::NotValidNow { not_before, not_after, now } => {
                write!(f, "the key is valid from {not_before} to {not_after}, and it is {now}: compare the clocks, or rotate the key")
            }
        }
    }
}

impl core::error::Error for KeyError {}

impl From<Malformed> for KeyError {
    fn from(e: Malformed) -> Self {
        Self::Malformed(e)
    }
}

/// A key that the pinned root has certified for one use. Made only by [`CertifiedKey::verify`]:
///
/// ```compile_fail,E0423
/// use podseal_protocol::key::CertifiedKey;
/// let forged = CertifiedKey(vec![4; 65]);
/// ```
///
/// ```
/// use podseal_protocol::{Digest, Limits, key::{CertifiedKey, KeyUse}};
/// let forged = CertifiedKey::verify(&[4; 65], &Digest([0; 32]), KeyUse::Receipt, None, &Limits::DEFAULT);
/// assert!(forged.is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedKey(Vec<u8>);

impl CertifiedKey {
    /// Verifies a certified key: pinned root, its signature, then the statement that it covers. `now` is `None` where no clock can be
    /// trusted (a launcher) or where age does not matter (an old receipt).
    ///
    /// # Errors
    /// The first step that does not hold.
    pub fn verify(bytes: &[u8], verifier: &Digest, key_use: KeyUse, now: Option<u64>, limits: &Limits) -> Result<Self, KeyError> {
        let mut d = Decoder::message(bytes, CERTIFIED_DOMAIN, 4, limits)?;
        let spki_at = d.offset();
        let spki = d.bytes("certified-key.root", 128)?;
        let statement = d.bytes("certified-key.statement", 256)?;
        let signature = d.exact::<SIGNATURE_LENGTH>("certified-key.signature")?;
        d.end("certified-key")?;
        let found = Digest::of(spki);
        require(found == *verifier, KeyError::OtherVerifier { wanted: *verifier, found })?;
        let problem = Malformed { item: "certified-key.root", at: spki_at, problem: Problem::WrongValue };
        let root = PublicKey::from_spki(spki).ok_or(problem)?;
        require(root.verifies(statement, &signature), KeyError::RootSignature)?;

        let mut d = Decoder::message(statement, STATEMENT_DOMAIN, 5, limits)?;
        let found_use = d.text("key.use", 16)?;
        let key = d.bytes("key.key", PUBLIC_KEY_LENGTH)?.to_vec();
        let (not_before, not_after) = (d.uint("key.not_before")?, d.uint("key.not_after")?);
        d.end("key")?;
        require(found_use == key_use.as_str(), KeyError::OtherUse)?;
        if let Some(now) = now {
            require((not_before..not_after).contains(&now), KeyError::NotValidNow { not_before, not_after, now })?;
        }
        Ok(Self(key))
    }

    /// The key's own bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as a point; `None` for an Ed25519 key.
    #[must_use]
    pub fn p256(&self) -> Option<PublicKey> {
        PublicKey::from_bytes(&self.0)
    }
}
