//! Whatever bytes come: an answer, never a panic.

use super::forge::{ECC_AK_TAIL, SIGNING, ak_public, ecc_keys, ecc_public, ecdsa, ecdsa_sign, keys, point, quote, sign, values};
use crate::check::Checks;
use crate::tpm::ak::appraise_ak;
use crate::tpm::ek::{EkPublic, EkRoots, appraise_certificate};
use crate::tpm::structures::{Attest, Public, Signature};
use proptest::prelude::*;

fn all_parsers(bytes: &[u8]) {
    let _ = Attest::parse(bytes);
    let _ = Signature::parse(bytes);
    let _ = Public::parse(bytes).map(|public| public.name());
    let _ = EkPublic::parse(bytes).map(|ek| ek.spki());
    let mut checks = Checks::owing(&[]);
    let _ = appraise_ak(bytes, &mut checks);
    let _ = appraise_certificate(bytes, &[], &EkRoots::default(), 0, &mut checks);
}

proptest! {
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        all_parsers(&bytes);
    }

    #[test]
    fn mutated_structures(which in 0..5_usize, position in any::<prop::sample::Index>(), byte: u8, end in any::<prop::sample::Index>()) {
        let attest = quote(&values(&[(0, [1; 32])]), &[7; 32]);
        let [r, s] = ecdsa_sign(&ecc_keys()[0], &attest);
        let mut bytes = match which {
            0 => attest,
            1 => sign(&keys()[0], &attest),
            2 => ecdsa(0x0b, &r, &s),
            3 => ecc_public(0x0b, SIGNING, ECC_AK_TAIL, point(&ecc_keys()[0])),
            _ => ak_public(&keys()[0]),
        };
        let (position, end) = (position.index(bytes.len()), end.index(bytes.len()) + 1);
        bytes[position] = byte;
        all_parsers(&bytes);
        all_parsers(&bytes[..end]);
    }
}
