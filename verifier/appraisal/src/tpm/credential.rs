//! Credential activation: a secret that comes out only of the TPM that holds both the EK and the AK.
//!
//! TPM 2.0 Library Specification, Part 1, 24 and Part 3, 12.6. Pure: the seed, the salt and the secret are arguments.

use super::HashAlgorithm;
use super::ek::EkPublic;
use super::rsa::encrypt_oaep;
use super::structures::Name;
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use thiserror::Error;
use zeroize::Zeroizing;

/// Randomness of one credential. Draw it anew for each; it is as secret as what the credential protects.
#[derive(Clone)]
pub struct CredentialRandomness {
    /// Seed that the EK decrypts.
    pub seed: [u8; 32],
    /// OAEP salt.
    pub salt: [u8; 32],
}

/// What `TPM2_ActivateCredential` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `credentialBlob`: contents of the `TPM2B_ID_OBJECT`.
    pub id_object: Vec<u8>,
    /// `secret`: contents of the `TPM2B_ENCRYPTED_SECRET`.
    pub encrypted_secret: Vec<u8>,
}

/// Why there is no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// A credential holds at most a digest of the EK's name algorithm.
    #[error("the secret has {found} bytes, at most 32 fit: use a 32-byte secret")]
    SecretTooLong {
        /// Its length.
        found: usize,
    },
    /// The EK's modulus does not work as one.
    #[error("the EK's modulus is not an odd 2048-bit number: enrol with the EK that the certificate names")]
    Key,
    /// The cryptographic library refused a key or an initialisation vector.
    #[error("AES-128-CFB was refused by the cryptographic library: check how the verifier was built")]
    Cipher,
}

/// Makes a credential for the object `ak_name`, which only the TPM of `ek` can open, and only while it holds that object.
///
/// # Errors
/// [`CredentialError`].
pub fn make_credential(
    ek: &EkPublic,
    ak_name: &Name,
    secret: &[u8],
    randomness: &CredentialRandomness,
) -> Result<Credential, CredentialError> {
    // Part 1, B.10.4: label "IDENTITY" with its terminating NUL.
    let encrypted_secret =
        encrypt_oaep(HashAlgorithm::Sha256, ek.modulus(), b"IDENTITY\0", &randomness.seed, &randomness.salt).ok_or(CredentialError::Key)?;
    let id_object = protect(&randomness.seed, ak_name.as_ref(), secret)?;
    Ok(Credential { id_object, encrypted_secret })
}

/// `TPMS_ID_OBJECT` (Part 1, 24.4 and 24.5): `TPM2B_DIGEST` of the HMAC, then the encrypted `TPM2B_DIGEST`.
fn protect(seed: &[u8; 32], name: &[u8], secret: &[u8]) -> Result<Vec<u8>, CredentialError> {
    let hash = HashAlgorithm::Sha256;
    let size = u16::try_from(secret.len()).ok().filter(|size| usize::from(*size) <= hash.size());
    let size = size.ok_or(CredentialError::SecretTooLong { found: secret.len() })?;
    let mut identity = Zeroizing::new(size.to_be_bytes().to_vec());
    identity.extend_from_slice(secret);
    let storage = kdfa(hash, seed, "STORAGE", name, &[], 128);
    let key = UnboundCipherKey::new(&AES_128, &storage).and_then(EncryptingKey::cfb128).map_err(|_| CredentialError::Cipher)?;
    let zero = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(&mut identity, zero).map_err(|_| CredentialError::Cipher)?;
    let integrity = kdfa(hash, seed, "INTEGRITY", &[], &[], 256);
    let mut out = vec![0, 32];
    out.extend_from_slice(hash.hmac(&integrity, &[&identity, name]).as_ref());
    out.extend_from_slice(&identity);
    Ok(out)
}

/// KDFa (Part 1, 11.4.10.2): SP 800-108 in counter mode over HMAC, `bits` long; the top bits of an uneven length are clear.
#[must_use]
pub fn kdfa(hash: HashAlgorithm, key: &[u8], label: &str, context_u: &[u8], context_v: &[u8], bits: u16) -> Zeroizing<Vec<u8>> {
    let length = usize::from(bits).div_ceil(8);
    let mut out = Zeroizing::new(Vec::with_capacity(length + HashAlgorithm::LARGEST));
    let mut counter = 0_u32;
    while out.len() < length {
        counter += 1;
        let parts = [&counter.to_be_bytes()[..], label.as_bytes(), &[0], context_u, context_v, &u32::from(bits).to_be_bytes()];
        out.extend_from_slice(hash.hmac(key, &parts).as_ref());
    }
    out.truncate(length);
    if let (Some(first), rest @ 1..) = (out.first_mut(), bits % 8) {
        *first &= (1 << rest) - 1;
    }
    out
}
