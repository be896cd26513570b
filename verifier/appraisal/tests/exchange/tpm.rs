//! What a TPM sends: its AK's public area, and quotes under it, honest or not.

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use podseal_protocol::Digest;

/// `TPM_GENERATED_VALUE`.
const MAGIC: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
const QUOTE: u16 = 0x8018;
/// `TPM_ALG_SHA256`.
pub(crate) const SHA256: u16 = 0x000b;
/// `TPMA_OBJECT`: restricted, sign, userWithAuth, sensitiveDataOrigin, fixedParent, fixedTPM.
pub(crate) const SIGNING: u32 = 1 << 16 | 1 << 18 | 1 << 6 | 1 << 5 | 1 << 4 | 1 << 1;

/// The AKs of two machines.
pub(crate) static AKS: LazyLock<[KeyPair; 2]> = LazyLock::new(|| [(); 2].map(|()| KeyPair::generate(KeySize::Rsa2048).unwrap()));

/// The AK of a machine that has one on NIST P-256.
static ECC_AK: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
/// That machine's number, after the two of [`AKS`].
pub(crate) const ECC: usize = 2;

/// Modulus of an `RSAPublicKey` (RFC 8017, A.1.1) of 2048 bits: it stands behind nine bytes of tags, lengths and sign.
pub(crate) fn modulus(key: &KeyPair) -> &[u8] {
    &key.public_key().as_ref()[9..265]
}

pub(crate) fn tpm2b(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// `TPMT_PUBLIC` (Part 2, 12.2.4) of an RSA-2048 key with exponent 65537 and name algorithm SHA-256; `scheme` is symmetric and scheme.
pub(crate) fn rsa_public(attributes: u32, scheme: &[u16], modulus: &[u8]) -> Vec<u8> {
    let mut out = [&[0, 1], &SHA256.to_be_bytes()[..], &attributes.to_be_bytes(), &tpm2b(&[])].concat();
    out.extend(scheme.iter().chain(&[2048, 0, 0]).flat_map(|word| word.to_be_bytes()));
    out.extend(tpm2b(modulus));
    out
}

/// `TPMT_PUBLIC` of an ECC key on this curve: no symmetric cipher, ECDSA with this hash, no key derivation scheme.
pub(crate) fn ecc_public(attributes: u32, hash: u16, curve: u16) -> Vec<u8> {
    let (x, y) = ECC_AK.public_key().as_ref()[1..].split_at(32);
    let mut out = [&[0, 0x23], &SHA256.to_be_bytes()[..], &attributes.to_be_bytes(), &tpm2b(&[])].concat();
    out.extend([0x10, 0x18, hash, curve, 0x10].into_iter().flat_map(u16::to_be_bytes));
    out.extend([tpm2b(x), tpm2b(y)].concat());
    out
}

/// The public area of an AK: no symmetric cipher, RSASSA or ECDSA with SHA-256.
pub(crate) fn ak_public(which: usize, attributes: u32) -> Vec<u8> {
    if which == ECC {
        return ecc_public(attributes, SHA256, 3);
    }
    rsa_public(attributes, &[0x10, 0x14, SHA256], modulus(&AKS[which]))
}

/// Name of an object (Part 1, 16).
pub(crate) fn name(public: &[u8]) -> Vec<u8> {
    [&SHA256.to_be_bytes()[..], &Digest::of(public).0].concat()
}

/// A quote before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Quote {
    pub(crate) magic: u32,
    pub(crate) kind: u16,
    pub(crate) qualifying_data: Vec<u8>,
    /// Bank and mask.
    pub(crate) selections: Vec<(u16, u32)>,
    /// Values that the TPM hashed.
    pub(crate) hashed: Vec<Digest>,
    /// Values that are sent along.
    pub(crate) values: Vec<(u8, Digest)>,
    /// Milliseconds.
    pub(crate) clock: u64,
    pub(crate) reset_count: u32,
    pub(crate) restart_count: u32,
    pub(crate) safe: bool,
}

impl Quote {
    /// Of exactly these registers over this binding.
    pub(crate) fn honest(binding: &Digest, values: Vec<(u8, Digest)>) -> Self {
        let mask = values.iter().fold(0, |mask, (index, _)| mask | 1 << index);
        Self {
            magic: MAGIC,
            kind: QUOTE,
            qualifying_data: binding.0.to_vec(),
            selections: vec![(SHA256, mask)],
            hashed: values.iter().map(|(_, value)| *value).collect(),
            values,
            clock: 90_000,
            reset_count: 7,
            restart_count: 2,
            safe: true,
        }
    }

    /// `TPMS_ATTEST` (Part 2, 10.12.8).
    pub(crate) fn attest(&self) -> Vec<u8> {
        let mut out = [&self.magic.to_be_bytes()[..], &self.kind.to_be_bytes(), &tpm2b(&[SHA256 as u8; 34])].concat();
        out.extend(tpm2b(&self.qualifying_data));
        out.extend(self.clock.to_be_bytes());
        out.extend([self.reset_count, self.restart_count].into_iter().flat_map(u32::to_be_bytes));
        out.push(u8::from(self.safe));
        out.extend(0x2019_1023_0016_3636_u64.to_be_bytes());
        out.extend(u32::try_from(self.selections.len()).unwrap().to_be_bytes());
        for (bank, mask) in &self.selections {
            out.extend(bank.to_be_bytes());
            out.push(3);
            out.extend(&mask.to_le_bytes()[..3]);
        }
        out.extend(tpm2b(Digest::of(&self.hashed.iter().flat_map(|value| value.0).collect::<Vec<_>>()).as_ref()));
        out
    }
}

/// The bare signature, RSASSA with SHA-256.
pub(crate) fn rsassa(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

/// `TPMT_SIGNATURE` (Part 2, 11.3.4).
pub(crate) fn sign(which: usize, attest: &[u8]) -> Vec<u8> {
    if which == ECC {
        let signature = ECC_AK.sign(&SystemRandom::new(), attest).unwrap();
        let (r, s) = signature.as_ref().split_at(32);
        return [&[0, 0x18, 0, 0x0b], &tpm2b(r)[..], &tpm2b(s)].concat();
    }
    [&[0, 0x14, 0, 0x0b], &tpm2b(&rsassa(&AKS[which], attest))[..]].concat()
}
