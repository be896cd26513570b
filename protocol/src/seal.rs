//! Sealing: HPKE base mode (RFC 9180), DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, single shot.

use core::convert::Infallible;

use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _,
    aead::AesGcm256,
    kdf::HkdfSha256,
    kem::DhP256HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    single_shot_open, single_shot_seal_with_rng,
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
    key::{PUBLIC_KEY_LENGTH, PublicKey},
    leaf::{has_file_twice, is_file_name},
};

const INFO_DOMAIN: &str = "podseal.seal-info.v1";
const IMPORT_DOMAIN: &str = "podseal.import-info.v1";
const SECRETS_DOMAIN: &str = "podseal.secrets.v1";

/// A sealed plaintext is padded to a multiple of this, so that its length tells little of a password's.
const PAD_TO: usize = 512;

type Kem = DhP256HkdfSha256;

/// Why something did not seal or open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The ciphertext was not made for this key and this context, or was altered.
    DoesNotOpen,
    /// It opened, and what was inside is not in its canonical form.
    Malformed(Malformed),
    /// The recipient's key cannot be sealed to.
    BadKey,
}

impl core::fmt::Display for SealError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::DoesNotOpen => {
                f.write_str("the ciphertext was not sealed to this key in this context, or it was altered: ask again with a fresh key")
            }
            Self::Malformed(e) => e.fmt(f),
            Self::BadKey => f.write_str("the recipient's key is not a usable P-256 key"),
        }
    }
}

impl core::error::Error for SealError {}

/// The private half that opens what was sealed to it; wiped when dropped.
pub struct OpeningKey {
    /// Input keying material of DeriveKeyPair (RFC 9180, section 7.1.3): the one representation that is kept.
    seed: Zeroizing<[u8; 32]>,
}

impl OpeningKey {
    /// Derives the key from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self { seed }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> Option<PublicKey> {
        PublicKey::from_bytes(&Kem::derive_keypair(self.seed.as_slice()).1.to_bytes())
    }

    /// Opens `sealed` (encapsulated key, then ciphertext with tag).
    ///
    /// # Errors
    /// [`SealError::DoesNotOpen`].
    pub fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (encapped, ciphertext) = sealed.split_at_checked(PUBLIC_KEY_LENGTH).ok_or(SealError::DoesNotOpen)?;
        let encapped = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapped).map_err(|_| SealError::DoesNotOpen)?;
        let (private, _) = Kem::derive_keypair(self.seed.as_slice());
        single_shot_open::<AesGcm256, HkdfSha256, Kem>(&OpModeR::Base, &private, &encapped, info, ciphertext, aad)
            .map(Zeroizing::new)
            .map_err(|_| SealError::DoesNotOpen)
    }
}

/// Seals `plaintext` to `recipient`; `ephemeral` must be 32 bytes of fresh randomness.
///
/// # Errors
/// [`SealError::BadKey`].
pub fn seal(
    recipient: &PublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    ephemeral: &Zeroizing<[u8; 32]>,
) -> Result<Vec<u8>, SealError> {
    let recipient = <Kem as hpke::Kem>::PublicKey::from_bytes(recipient.as_bytes()).map_err(|_| SealError::BadKey)?;
    let mut once = Once(ephemeral.clone());
    let (encapped, ciphertext) =
        single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(&OpModeS::Base, &recipient, info, plaintext, aad, &mut once)
            .map_err(|_| SealError::BadKey)?;
    Ok([encapped.to_bytes().as_slice(), &ciphertext].concat())
}

/// Hands the caller's randomness to HPKE, which asks for it once: the seed of the ephemeral key.
struct Once(Zeroizing<[u8; 32]>);

impl TryRng for Once {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        // A later call gets h(seed), h(h(seed)), …: HPKE makes none, and no two calls ever return the same bytes.
        for chunk in out.chunks_mut(32) {
            chunk.copy_from_slice(self.0.get(..chunk.len()).unwrap_or_default());
            let mut next = Digest::of(self.0.as_slice()).0;
            self.0.copy_from_slice(&next);
            next.zeroize();
        }
        Ok(())
    }
}

impl TryCryptoRng for Once {}

/// HPKE `info` of a delivery.
#[must_use]
pub fn delivery_info(verifier: &Digest, binding: &Digest, leaf: &Digest) -> Vec<u8> {
    Encoder::message(INFO_DOMAIN, 4).digest(verifier).digest(binding).digest(leaf).finish()
}

/// HPKE `info` of a value on its way from an operator to the verifier.
#[must_use]
pub fn import_info(verifier: &Digest, secret: &str) -> Vec<u8> {
    Encoder::message(IMPORT_DOMAIN, 3).digest(verifier).text(secret).finish()
}

/// One secret as the container gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Name of the file below `/podseal/secrets`.
    pub file: String,
    /// The value, wiped when dropped.
    pub value: Zeroizing<Vec<u8>>,
}

/// The plaintext of a delivery: padded to a multiple of 512 bytes (ISO/IEC 7816-4: `80`, then zeros).
#[must_use]
pub fn encode_secrets(files: &[SecretFile]) -> Zeroizing<Vec<u8>> {
    // Three heads of at most 9 bytes an element; domain string and two heads before them.
    let capacity = files.iter().map(|f| f.file.len() + f.value.len() + 3 * 9).sum::<usize>() + 64;
    let content = Encoder::message_of(capacity, SECRETS_DOMAIN, 2).list(files, |e, f| e.array(2).text(&f.file).bytes(&f.value)).finish();
    let content = Zeroizing::new(content);
    let mut padded = Zeroizing::new(vec![0; (content.len() + 1).next_multiple_of(PAD_TO)]);
    if let Some((body, rest)) = padded.split_at_mut_checked(content.len()) {
        body.copy_from_slice(&content);
        if let Some(mark) = rest.first_mut() {
            *mark = 0x80;
        }
    }
    padded
}

/// Reads an opened plaintext.
///
/// # Errors
/// [`SealError::Malformed`] when padding or content is not in its canonical form.
pub fn decode_secrets(padded: &[u8], limits: &Limits) -> Result<Vec<SecretFile>, SealError> {
    let wrong = |item| SealError::Malformed(Malformed { item, at: 0, problem: Problem::WrongValue });
    let mark = padded.iter().rposition(|byte| *byte != 0).ok_or(wrong("secrets.padding"))?;
    let canonical = padded.get(mark) == Some(&0x80) && padded.len() == (mark + 1).next_multiple_of(PAD_TO);
    let content = padded.get(..mark).filter(|_| canonical).ok_or(wrong("secrets.padding"))?;
    let parse = || {
        let mut d = Decoder::message(content, SECRETS_DOMAIN, 2, limits)?;
        let files = d.list("secrets", limits.secrets, |d| {
            d.array("secret", 2)?;
            let file = d.text("secret.file", 255)?.to_owned();
            Ok(SecretFile { file, value: Zeroizing::new(d.bytes("secret.value", limits.secret)?.to_vec()) })
        })?;
        d.end("secrets")?;
        Ok(files)
    };
    let files: Vec<SecretFile> = parse().map_err(SealError::Malformed)?;
    let twice = Malformed { item: "secrets", at: 0, problem: Problem::Twice };
    if has_file_twice(files.iter().map(|f| f.file.as_str())) {
        return Err(SealError::Malformed(twice));
    }
    if files.iter().all(|f| is_file_name(&f.file)) { Ok(files) } else { Err(wrong("secret.file")) }
}
