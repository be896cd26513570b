use super::appraise;
use super::forge::{AK_TAIL, SIGNING, ak_public, keys, modulus, rsa_public};
use crate::tpm::ak::{AkPublic, RULES, appraise_ak};
use crate::tpm::structures::Attributes;
use aws_lc_rs::signature::KeyPair as _;

fn run(public: &[u8]) -> (Option<AkPublic>, Vec<&'static str>) {
    appraise(&RULES, |checks| appraise_ak(public, checks))
}

fn with(attributes: u32, name_algorithm: u16, tail: &[u16]) -> Vec<u8> {
    rsa_public(name_algorithm, attributes, tail, &modulus(keys()[0].public_key().as_ref()))
}

#[test]
fn honest_ak_passes_and_is_named_by_its_public_area() {
    let public = ak_public(&keys()[0]);
    let (ak, failed) = run(&public);
    assert_eq!(failed, [""; 0]);
    let digest = podseal_protocol::Digest::of(&public);
    assert_eq!(ak.unwrap().name().to_string(), format!("000b{digest}"));
}

/// Each attribute that an AK must or must not have, and the rule that says so.
pub(super) const ATTRIBUTES: [(Attributes, &str); 6] = [
    (Attributes::RESTRICTED, "ak.restricted"),
    (Attributes::SIGN, "ak.sign"),
    (Attributes::DECRYPT, "ak.not_decrypt"),
    (Attributes::FIXED_TPM, "ak.fixed_tpm"),
    (Attributes::FIXED_PARENT, "ak.fixed_parent"),
    (Attributes::SENSITIVE_DATA_ORIGIN, "ak.sensitive_data_origin"),
];

#[test]
fn ak_attribute_missing_or_too_many_fails_at_its_rule() {
    for (attribute, rule) in ATTRIBUTES {
        let (ak, failed) = run(&with(SIGNING ^ attribute.0, 0x0b, AK_TAIL));
        assert_eq!(failed, [rule]);
        assert!(ak.is_none());
    }
}

#[test]
fn ak_of_another_type_fails_at_type() {
    let modulus = modulus(keys()[0].public_key().as_ref());
    let short = rsa_public(0x0b, SIGNING, AK_TAIL, &modulus[..128]);
    let even = rsa_public(0x0b, SIGNING, AK_TAIL, &[&modulus[..255], &[2]].concat());
    for (what, public) in [
        ("RSAPSS", with(SIGNING, 0x0b, &[0x10, 0x16, 0x0b, 2048, 0, 0])),
        ("RSASSA sha1", with(SIGNING, 0x0b, &[0x10, 0x14, 0x04, 2048, 0, 0])),
        ("no scheme", with(SIGNING, 0x0b, &[0x10, 0x10, 2048, 0, 0])),
        ("1024 bits", with(SIGNING, 0x0b, &[0x10, 0x14, 0x0b, 1024, 0, 0])),
        ("exponent 3", with(SIGNING, 0x0b, &[0x10, 0x14, 0x0b, 2048, 0, 3])),
        ("name algorithm sha1", with(SIGNING, 0x04, AK_TAIL)),
        ("short modulus", short),
        ("even modulus", even),
        ("trailing byte", [with(SIGNING, 0x0b, AK_TAIL), vec![0]].concat()),
        ("cut off", with(SIGNING, 0x0b, AK_TAIL)[..200].to_vec()),
        ("nothing", vec![]),
    ] {
        let (ak, failed) = run(&public);
        assert_eq!(failed, ["ak.type"], "{what}");
        assert!(ak.is_none(), "{what}");
    }
}
