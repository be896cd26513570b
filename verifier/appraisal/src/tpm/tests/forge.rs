//! Structures as a TPM, an honest one or another, would send them; signed by keys made here.

use crate::tpm::structures::Attributes;
use crate::tpm::{PcrValues, ak};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use podseal_protocol::Bank;
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;

pub(crate) const SIGNING: u32 = Attributes::RESTRICTED.0
    | Attributes::SIGN.0
    | Attributes::FIXED_TPM.0
    | Attributes::FIXED_PARENT.0
    | Attributes::SENSITIVE_DATA_ORIGIN.0
    | 1 << 6;

/// The honest AK's key pair, and another's.
pub(crate) fn keys() -> &'static [RsaKeyPair; 2] {
    static KEYS: OnceLock<[RsaKeyPair; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
}

/// Modulus of an `RSAPublicKey` (DER) of 2048 bits.
pub(crate) fn modulus(rsa_public_key: &[u8]) -> Vec<u8> {
    assert_eq!(rsa_public_key.len(), 270);
    rsa_public_key[9..265].to_vec()
}

pub(crate) fn tpm2b(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// `TPMT_PUBLIC` of an RSA key; `tail` is symmetric, scheme, bits and exponent.
pub(crate) fn rsa_public(name_algorithm: u16, attributes: u32, tail: &[u16], modulus: &[u8]) -> Vec<u8> {
    let mut out = [&[0, 1], &name_algorithm.to_be_bytes()[..], &attributes.to_be_bytes(), &tpm2b(&[])].concat();
    out.extend(tail.iter().flat_map(|word| word.to_be_bytes()));
    out.extend(tpm2b(modulus));
    out
}

/// No symmetric cipher, RSASSA sha256, 2048 bits, exponent 65537 by its short form.
pub(crate) const AK_TAIL: &[u16] = &[0x10, 0x14, 0x0b, 2048, 0, 0];
/// AES-128-CFB, no scheme, 2048 bits, exponent 65537 by its short form.
pub(crate) const EK_TAIL: &[u16] = &[6, 128, 0x43, 0x10, 2048, 0, 0];

pub(crate) fn ak_public(pair: &RsaKeyPair) -> Vec<u8> {
    rsa_public(0x0b, SIGNING, AK_TAIL, &modulus(pair.public_key().as_ref()))
}

pub(crate) fn ak() -> ak::AkPublic {
    let (ak, failed) = super::appraise(&ak::RULES, |checks| ak::appraise_ak(&ak_public(&keys()[0]), checks));
    assert_eq!(failed, [""; 0]);
    ak.unwrap()
}

/// The honest ECC AK's key pair, and another's.
pub(crate) fn ecc_keys() -> &'static [EcdsaKeyPair; 2] {
    static KEYS: OnceLock<[EcdsaKeyPair; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
}

/// `TPMT_PUBLIC` of an ECC key; `tail` is symmetric, scheme, curve and key derivation scheme.
pub(crate) fn ecc_public(name_algorithm: u16, attributes: u32, tail: &[u16], [x, y]: [&[u8]; 2]) -> Vec<u8> {
    let mut out = [&[0, 0x23], &name_algorithm.to_be_bytes()[..], &attributes.to_be_bytes(), &tpm2b(&[])].concat();
    out.extend(tail.iter().flat_map(|word| word.to_be_bytes()));
    out.extend([tpm2b(x), tpm2b(y)].concat());
    out
}

/// No symmetric cipher, ECDSA sha256, NIST P-256, no key derivation scheme.
pub(crate) const ECC_AK_TAIL: &[u16] = &[0x10, 0x18, 0x0b, 3, 0x10];

/// The two coordinates, 32 bytes each.
pub(crate) fn point(pair: &EcdsaKeyPair) -> [&[u8]; 2] {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    [x, y]
}

/// `TPMS_ATTEST` with this body behind clock and firmware version.
pub(crate) fn attest(magic: u32, kind: u16, extra_data: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = [&magic.to_be_bytes()[..], &kind.to_be_bytes(), &tpm2b(&[0x0b; 34]), &tpm2b(extra_data)].concat();
    out.extend(7_000_u64.to_be_bytes());
    out.extend(3_u32.to_be_bytes());
    out.extend(1_u32.to_be_bytes());
    out.push(1);
    out.extend(0x2019_1023_0016_3636_u64.to_be_bytes());
    out.extend(body);
    out
}

/// `TPMS_QUOTE_INFO` of these selections (bank, mask) over these values.
pub(crate) fn quote_info(selections: &[(u16, u32)], values: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = u32::try_from(selections.len()).unwrap().to_be_bytes().to_vec();
    for (bank, mask) in selections {
        out.extend(bank.to_be_bytes());
        out.push(3);
        out.extend(&mask.to_le_bytes()[..3]);
    }
    out.extend(tpm2b(&Sha256::digest(values.iter().flat_map(AsRef::as_ref).copied().collect::<Vec<_>>())));
    out
}

/// `TPMT_SIGNATURE`, RSASSA sha256.
pub(crate) fn sign(pair: &RsaKeyPair, attest: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; 256];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), attest, &mut signature).unwrap();
    [&[0, 0x14, 0, 0x0b], &tpm2b(&signature)[..]].concat()
}

/// `TPMT_SIGNATURE`, ECDSA with this hash.
pub(crate) fn ecdsa(hash: u8, r: &[u8], s: &[u8]) -> Vec<u8> {
    [&[0, 0x18, 0, hash][..], &tpm2b(r), &tpm2b(s)].concat()
}

/// r and s of an ECDSA signature with SHA-256, 32 bytes each.
pub(crate) fn ecdsa_sign(pair: &EcdsaKeyPair, attest: &[u8]) -> [[u8; 32]; 2] {
    let signature = pair.sign(&SystemRandom::new(), attest).unwrap();
    let (r, s) = signature.as_ref().split_at(32);
    [r.try_into().unwrap(), s.try_into().unwrap()]
}

/// An honest quote of exactly `values` over `binding`.
pub(crate) fn quote(values: &PcrValues, binding: &[u8]) -> Vec<u8> {
    let list = values.iter().map(|(_, value)| value).collect::<Vec<_>>();
    attest(0xff54_4347, 0x8018, binding, &quote_info(&[(0x0b, values.set().mask())], &list))
}

pub(crate) fn values(of: &[(u8, [u8; 32])]) -> PcrValues {
    let mut values = PcrValues::new(Bank::Sha256);
    for (index, value) in of {
        assert!(values.insert(*index, value));
    }
    values
}
