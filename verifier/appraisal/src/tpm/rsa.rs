//! RSAES-OAEP encryption with its randomness as an argument (RFC 8017, 7.1.1).
//!
//! The TLS provider's OAEP draws its own salt, which would make a credential irreproducible and put a random source into the deciders.
//! Only the public operation is here: encrypting needs no secret key, so there is no padding oracle to hide.

use super::HashAlgorithm;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use zeroize::Zeroizing;

/// Encrypts `message` under the public key (`modulus`, 65537); OAEP and MGF1 use `hash`, `label` is OAEP's `L` (a TPM's ends in NUL).
///
/// `None` if the modulus is even or shorter than 2048 bits, the salt is not as long as a digest, or the message does not fit.
#[must_use]
pub fn encrypt_oaep(hash: HashAlgorithm, modulus: &[u8], label: &[u8], message: &[u8], salt: &[u8]) -> Option<Vec<u8>> {
    let length = modulus.len();
    if length < 256 || modulus.first().is_none_or(|top| *top < 0x80) || salt.len() != hash.size() {
        return None;
    }
    // RFC 8017, 7.1.1, 2 b: DB = lHash || PS || 0x01 || M.
    let padding = length.checked_sub(message.len() + 2 * hash.size() + 2)?;
    let mut block = Zeroizing::new(Vec::with_capacity(length - hash.size() - 1));
    block.extend_from_slice(hash.digest(&[label]).as_ref());
    block.resize(hash.size() + padding, 0);
    block.push(1);
    block.extend_from_slice(message);
    // 2 c to 2 h: both halves are masked, the seed by the masked block.
    xor(&mut block, &mask(hash, salt, length - hash.size() - 1));
    let mut seed = Zeroizing::new(salt.to_vec());
    xor(&mut seed, &mask(hash, &block, hash.size()));
    let mut encoded = Zeroizing::new(Vec::with_capacity(length));
    encoded.push(0);
    encoded.extend_from_slice(&seed);
    encoded.extend_from_slice(&block);
    raise(modulus, &encoded)
}

/// MGF1 (RFC 8017, B.2.1).
fn mask(hash: HashAlgorithm, seed: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(length + HashAlgorithm::LARGEST));
    let mut counter = 0_u32;
    while out.len() < length {
        out.extend_from_slice(hash.digest(&[seed, &counter.to_be_bytes()]).as_ref());
        counter += 1;
    }
    out.truncate(length);
    out
}

fn xor(target: &mut [u8], mask: &[u8]) {
    for (byte, mask) in target.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// RSAEP (RFC 8017, 5.1.1) with the exponent 65537.
fn raise(modulus: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let bits = u32::try_from(modulus.len()).ok()?.checked_mul(8)?;
    let params = BoxedMontyParams::new(Odd::new(BoxedUint::from_be_slice(modulus, bits).ok()?).into_option()?);
    let message = Zeroizing::new(BoxedUint::from_be_slice(message, bits).ok()?);
    let raised = BoxedMontyForm::new(BoxedUint::clone(&message), &params).pow_bounded_exp(&BoxedUint::from(65_537_u32), 17).retrieve();
    Some(raised.to_be_bytes().into_vec())
}
