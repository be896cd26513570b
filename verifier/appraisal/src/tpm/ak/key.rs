//! The two kinds of key that an AK may be, and what each signs with.

use crate::tpm::HashAlgorithm;
use crate::tpm::structures::{KeyParameters, Public, Scheme, Signature};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

/// `TPM_ALG_RSASSA` with `TPM_ALG_SHA256`.
const RSASSA_SHA256: Scheme = Scheme { algorithm: 0x0014, hash: Some(0x000b) };
/// `TPM_ALG_ECDSA` with `TPM_ALG_SHA256`.
const ECDSA_SHA256: Scheme = Scheme { algorithm: 0x0018, hash: Some(0x000b) };
/// `TPM_ECC_NIST_P256` (TCG Algorithm Registry, 6.4).
const NIST_P256: u16 = 0x0003;
/// Bytes of a coordinate and of a scalar of that curve.
const P256: usize = 32;

/// A key that can have signed a quote.
#[derive(Debug)]
pub(super) enum Key {
    /// RSA-2048, RSASSA with SHA-256.
    Rsa(ParsedPublicKey),
    /// NIST P-256, ECDSA with SHA-256.
    Ecc(ParsedPublicKey),
}

impl Key {
    /// The key of this public area; `None` where it is of another kind, or no key at all.
    pub(super) fn of(public: &Public<'_>) -> Option<Self> {
        if public.name_algorithm != HashAlgorithm::Sha256 {
            return None;
        }
        match public.key {
            KeyParameters::Rsa { bits: 2048, exponent: 65_537, modulus } if public.scheme == Some(RSASSA_SHA256) => rsa(modulus),
            // Part 2, 12.2.3.6: no command uses a key derivation scheme, so none may stand there.
            KeyParameters::Ecc { curve: NIST_P256, kdf: None, x, y } if public.scheme == Some(ECDSA_SHA256) => ecc(x, y),
            KeyParameters::Rsa { .. } | KeyParameters::Ecc { .. } => None,
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSASSA sha256",
            Self::Ecc(_) => "ECDSA sha256",
        }
    }

    /// A signature of another scheme or hash is none of this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &Signature<'_>) -> bool {
        match (self, *signature) {
            // RFC 8017, 8.2.2.
            (Self::Rsa(key), Signature::RsaSsa { hash: HashAlgorithm::Sha256, signature }) => key.verify_sig(message, signature).is_ok(),
            // FIPS 186-5, 6.4.2; the library refuses r and s of 0 and from the order on.
            (Self::Ecc(key), Signature::EcDsa { hash: HashAlgorithm::Sha256, r, s }) => {
                pair(r, s).is_some_and(|signature| key.verify_sig(message, &signature).is_ok())
            }
            _ => false,
        }
    }
}

fn rsa(modulus: &[u8]) -> Option<Key> {
    if !is_2048_bits(modulus) {
        return None;
    }
    RsaPublicKeyComponents { n: modulus, e: &[1, 0, 1] }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok().map(Key::Rsa)
}

/// The library takes an even modulus and one with leading zeros for keys.
fn is_2048_bits(modulus: &[u8]) -> bool {
    modulus.len() == 256 && modulus.first().is_some_and(|top| top & 0x80 != 0) && modulus.last().is_some_and(|low| low & 1 == 1)
}

/// SEC 1, 2.3.4: the point in its uncompressed form; the library refuses one that is not on the curve.
fn ecc(x: &[u8], y: &[u8]) -> Option<Key> {
    let point = [&[4][..], &pair(x, y)?].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok().map(Key::Ecc)
}

/// Two numbers, each with the leading zeros that a TPM may leave out (Part 2, 11.2.5.1); `None` where one is longer.
fn pair(first: &[u8], second: &[u8]) -> Option<[u8; 2 * P256]> {
    let mut out = [0; 2 * P256];
    let (left, right) = out.split_at_mut(P256);
    for (room, number) in [(left, first), (right, second)] {
        let start = P256.checked_sub(number.len())?;
        room.get_mut(start..)?.copy_from_slice(number);
    }
    Some(out)
}
