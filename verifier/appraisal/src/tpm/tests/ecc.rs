//! The AK on NIST P-256: what its public area owes, and which signatures are its own.

use super::appraise;
use super::forge::{ECC_AK_TAIL, SIGNING, ak, ecc_keys, ecc_public, ecdsa, ecdsa_sign, keys, point, quote, sign, values};
use crate::tpm::ak::{self, AkPublic, appraise_ak};
use crate::tpm::quote::{self as rules, QuoteEvidence, QuoteFacts, appraise_quote};
use crate::tpm::{PcrSet, PcrValues};

const BINDING: [u8; 32] = [0x5a; 32];
/// Order of the curve (SEC 2, 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
    0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn run(public: &[u8]) -> (Option<AkPublic>, Vec<&'static str>) {
    appraise(&ak::RULES, |checks| appraise_ak(public, checks))
}

fn with(attributes: u32, name_algorithm: u16, tail: &[u16]) -> Vec<u8> {
    ecc_public(name_algorithm, attributes, tail, point(&ecc_keys()[0]))
}

fn ecc_ak() -> AkPublic {
    run(&with(SIGNING, 0x0b, ECC_AK_TAIL)).0.unwrap()
}

fn golden() -> PcrValues {
    values(&[(0, [1; 32]), (7, [2; 32])])
}

fn honest() -> Vec<u8> {
    quote(&golden(), &BINDING)
}

fn quoted(ak: &AkPublic, attest: &[u8], signature: &[u8]) -> (Option<QuoteFacts>, Vec<&'static str>) {
    let evidence = QuoteEvidence { attest, signature, values: &golden() };
    let wanted = PcrSet::of(&[0, 7]).unwrap();
    appraise(&rules::RULES, |checks| appraise_quote(ak, &evidence, &BINDING, wanted, checks))
}

#[track_caller]
fn not_signed(what: &str, signature: &[u8]) {
    let (facts, failed) = quoted(&ecc_ak(), &honest(), signature);
    assert_eq!(failed, ["quote.signature"], "{what}");
    assert!(facts.is_none(), "{what}");
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

#[test]
fn honest_ecc_ak_passes_and_is_named_by_its_public_area() {
    let public = with(SIGNING, 0x0b, ECC_AK_TAIL);
    let (ak, failed) = run(&public);
    assert_eq!(failed, [""; 0]);
    let ak = ak.unwrap();
    assert_eq!(ak.name().to_string(), format!("000b{}", podseal_protocol::Digest::of(&public)));
    assert_eq!(ak.scheme(), "ECDSA sha256");
}

#[test]
fn ecc_ak_attribute_missing_or_too_many_fails_at_its_rule() {
    for (attribute, rule) in super::ak::ATTRIBUTES {
        let (ak, failed) = run(&with(SIGNING ^ attribute.0, 0x0b, ECC_AK_TAIL));
        assert_eq!(failed, [rule]);
        assert!(ak.is_none());
    }
}

#[test]
fn ecc_ak_of_another_type_fails_at_type() {
    let [x, y] = point(&ecc_keys()[0]);
    let on = |x: &[u8], y: &[u8]| ecc_public(0x0b, SIGNING, ECC_AK_TAIL, [x, y]);
    let flipped = [&y[..31], &[y[31] ^ 1]].concat();
    let longer = [&[0], x].concat();
    for (what, public) in [
        ("P-384", with(SIGNING, 0x0b, &[0x10, 0x18, 0x0b, 4, 0x10])),
        ("BN P-256", with(SIGNING, 0x0b, &[0x10, 0x18, 0x0b, 0x10, 0x10])),
        ("ECDSA sha1", with(SIGNING, 0x0b, &[0x10, 0x18, 0x04, 3, 0x10])),
        ("ECDSA sha384", with(SIGNING, 0x0b, &[0x10, 0x18, 0x0c, 3, 0x10])),
        ("EC-Schnorr", with(SIGNING, 0x0b, &[0x10, 0x1c, 0x0b, 3, 0x10])),
        ("ECDAA", with(SIGNING, 0x0b, &[0x10, 0x1a, 0x0b, 0, 3, 0x10])),
        ("RSASSA on a curve", with(SIGNING, 0x0b, &[0x10, 0x14, 0x0b, 3, 0x10])),
        ("no scheme", with(SIGNING, 0x0b, &[0x10, 0x10, 3, 0x10])),
        ("a key derivation scheme", with(SIGNING, 0x0b, &[0x10, 0x18, 0x0b, 3, 0x20, 0x0b])),
        ("name algorithm sha1", with(SIGNING, 0x04, ECC_AK_TAIL)),
        ("a point off the curve", on(x, &flipped)),
        ("the coordinates the other way round", on(y, x)),
        ("no point", on(&[], &[])),
        ("a coordinate cut off", on(x, &y[..31])),
        ("a coordinate of 33 bytes", on(&longer, y)),
        ("trailing byte", [with(SIGNING, 0x0b, ECC_AK_TAIL), vec![0]].concat()),
        ("cut off", with(SIGNING, 0x0b, ECC_AK_TAIL)[..60].to_vec()),
    ] {
        let (ak, failed) = run(&public);
        assert_eq!(failed, ["ak.type"], "{what}");
        assert!(ak.is_none(), "{what}");
    }
}

#[test]
fn honest_ecc_quote_gives_its_facts() {
    let [r, s] = ecdsa_sign(&ecc_keys()[0], &honest());
    let (facts, failed) = quoted(&ecc_ak(), &honest(), &ecdsa(0x0b, &r, &s));
    assert_eq!(failed, [""; 0]);
    assert_eq!(facts.unwrap().pcrs(), &golden());
}

/// Of 256 signatures two have a short r or s: enough are made to meet both.
#[test]
fn number_with_leading_zeros_is_whole_or_short_and_never_longer() {
    let (mut short_r, mut short_s) = (false, false);
    while !(short_r && short_s) {
        let [r, s] = ecdsa_sign(&ecc_keys()[0], &honest());
        let short = [without_leading_zeros(&r), without_leading_zeros(&s)];
        if short.iter().all(|number| number.len() == 32) {
            continue;
        }
        (short_r, short_s) = (short_r || short[0].len() < 32, short_s || short[1].len() < 32);
        for (r, s) in [(&r[..], &s[..]), (short[0], short[1])] {
            assert_eq!(quoted(&ecc_ak(), &honest(), &ecdsa(0x0b, r, s)).1, [""; 0]);
        }
    }
    let [r, s] = ecdsa_sign(&ecc_keys()[0], &honest());
    not_signed("r of 33 bytes", &ecdsa(0x0b, &[&[0], &r[..]].concat(), &s));
    not_signed("s of 33 bytes", &ecdsa(0x0b, &r, &[&[0], &s[..]].concat()));
    not_signed("r of 64 bytes", &ecdsa(0x0b, &[&[0; 32], &r[..]].concat(), &s));
    not_signed("r of 65535 bytes", &ecdsa(0x0b, &[0xff; 0xffff], &s));
}

#[test]
fn r_and_s_lie_between_zero_and_the_order() {
    let [r, s] = ecdsa_sign(&ecc_keys()[0], &honest());
    for (what, number) in [("nothing", &[][..]), ("0", &[0]), ("0 in 32 bytes", &[0; 32]), ("the order", &ORDER), ("more", &[0xff; 32])] {
        not_signed(what, &ecdsa(0x0b, number, &s));
        not_signed(what, &ecdsa(0x0b, &r, number));
        not_signed(what, &ecdsa(0x0b, number, number));
    }
}

#[test]
fn ak_self_made_on_the_curve() {
    let [r, s] = ecdsa_sign(&ecc_keys()[1], &honest());
    not_signed("another key", &ecdsa(0x0b, &r, &s));
    let [r, s] = ecdsa_sign(&ecc_keys()[0], &[honest(), vec![0]].concat());
    not_signed("other bytes", &ecdsa(0x0b, &r, &s));
}

#[test]
fn signature_of_another_scheme_than_the_keys() {
    let [r, s] = ecdsa_sign(&ecc_keys()[0], &honest());
    for hash in [0x04, 0x0c, 0x0d] {
        not_signed("said to be of another hash", &ecdsa(hash, &r, &s));
    }
    not_signed("RSASSA of another key", &sign(&keys()[0], &honest()));
    not_signed("RSASSA with r and s in it", &[&[0, 0x14, 0, 0x0b, 0, 64][..], &r, &s].concat());
    not_signed("EC-Schnorr", &[&[0, 0x1c][..], &ecdsa(0x0b, &r, &s)[2..]].concat());
    not_signed("r and s exchanged", &ecdsa(0x0b, &s, &r));
    not_signed("trailing byte", &[ecdsa(0x0b, &r, &s), vec![0]].concat());
    let (facts, failed) = quoted(&ak(), &honest(), &ecdsa(0x0b, &r, &s));
    assert_eq!(failed, ["quote.signature"], "an RSA key signs nothing by ECDSA");
    assert!(facts.is_none());
}

#[test]
fn one_flipped_bit_of_r_s_or_attest() {
    let [r, s] = ecdsa_sign(&ecc_keys()[0], &honest());
    let signature = ecdsa(0x0b, &r, &s);
    for position in 0..signature.len() {
        let mut flipped = signature.clone();
        flipped[position] ^= 0x10;
        not_signed("signature", &flipped);
    }
    for position in 0..honest().len() {
        let mut flipped = honest();
        flipped[position] ^= 1;
        assert_eq!(quoted(&ecc_ak(), &flipped, &signature).1, ["quote.signature"]);
    }
}
