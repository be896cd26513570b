//! Documents as a Nitro hypervisor of ours would make them: CBOR by hand, certificates and keys made here.

use crate::claims::RootKind;
use crate::cose::tests::{array, bytes, head, int, map, signed_bytes, text};
use crate::x509::{Anchor, Roots};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, RevokedCertParams, SerialNumber, date_time_ymd,
};
use std::sync::OnceLock;

/// 2026-06-01, one o'clock.
pub(crate) const NOW: u64 = 1_780_275_600;
/// `{1: -35}`.
pub(crate) const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

/// Serial numbers.
pub(crate) const LEAF: u64 = 70;
pub(crate) const ZONE: u64 = 60;

pub(crate) struct Pki {
    pub(crate) root: CertifiedIssuer<'static, KeyPair>,
    pub(crate) zone: CertifiedIssuer<'static, KeyPair>,
    pub(crate) key: KeyPair,
}

pub(crate) fn p384() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}

fn make() -> Pki {
    let root = CertifiedIssuer::self_signed(ca("root"), p384()).unwrap();
    let zone = CertifiedIssuer::signed_by(ca("zone"), p384(), &root).unwrap();
    Pki { root, zone, key: p384() }
}

/// The honest maker's, and another's with the same names.
pub(crate) fn pki() -> &'static [Pki; 2] {
    static PKI: OnceLock<[Pki; 2]> = OnceLock::new();
    PKI.get_or_init(|| [(); 2].map(|()| make()))
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from(ZONE));
    params
}

/// The hypervisor's certificate, good on one day.
pub(crate) fn leaf(usages: &[KeyUsagePurpose]) -> Vec<u8> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "i-1-enc1");
    params.not_before = date_time_ymd(2026, 6, 1);
    params.not_after = date_time_ymd(2026, 6, 2);
    params.key_usages = usages.to_vec();
    params.serial_number = Some(SerialNumber::from(LEAF));
    params.signed_by(&pki()[0].key, &pki()[0].zone).unwrap().der().to_vec()
}

pub(crate) fn honest_leaf() -> Vec<u8> {
    leaf(&[KeyUsagePurpose::DigitalSignature])
}

/// A list of `issuer`, good until the first of a month of 2026.
pub(crate) fn crl(issuer: &CertifiedIssuer<'_, KeyPair>, until: u8, revoked: &[u64]) -> Vec<u8> {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2026, until, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

pub(crate) fn roots(of: &Pki) -> Roots {
    Roots::new(vec![Anchor::of_certificate("nitro test".into(), RootKind::Test, of.root.der()).unwrap()]).unwrap()
}

/// Fields by name, each with its value in CBOR.
pub(crate) type Fields = Vec<(&'static str, Vec<u8>)>;

pub(crate) fn pcrs(of: &[(i64, Vec<u8>)]) -> Vec<u8> {
    map(&of.iter().map(|(index, value)| (int(*index), bytes(value))).collect::<Vec<_>>())
}

pub(crate) fn bundle(of: &[&[u8]]) -> Vec<u8> {
    array(&of.iter().map(|der| bytes(der)).collect::<Vec<_>>())
}

pub(crate) fn enclave() -> Fields {
    vec![
        ("module_id", text("i-1-enc1")),
        ("digest", text("SHA384")),
        ("timestamp", head(0, NOW * 1000)),
        ("pcrs", pcrs(&[(0, vec![1; 48]), (1, vec![2; 48]), (2, vec![3; 48]), (3, vec![0; 48])])),
        ("certificate", bytes(&honest_leaf())),
        ("cabundle", bundle(&[pki()[0].root.der(), pki()[0].zone.der()])),
        ("public_key", vec![0xf6]),
        ("user_data", bytes(b"data")),
        ("nonce", bytes(b"nonce")),
    ]
}

pub(crate) fn nitrotpm() -> Fields {
    let registers = pcrs(&[(4, vec![1; 48]), (7, vec![2; 48]), (12, vec![0; 48])]);
    let field = |(name, value)| if name == "pcrs" { ("nitrotpm_pcrs", registers.clone()) } else { (name, value) };
    enclave().into_iter().map(field).collect()
}

/// The field's value exchanged.
pub(crate) fn with(mut fields: Fields, name: &str, value: Vec<u8>) -> Fields {
    fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value;
    fields
}

pub(crate) fn without(mut fields: Fields, name: &str) -> Fields {
    fields.retain(|field| field.0 != name);
    fields
}

pub(crate) fn payload(fields: &Fields) -> Vec<u8> {
    map(&fields.iter().map(|(name, value)| (text(name), value.clone())).collect::<Vec<_>>())
}

/// A message under the honest hypervisor's key.
pub(crate) fn message(protected: &[u8], unprotected: &[u8], payload: &[u8]) -> Vec<u8> {
    message_by(&pki()[0].key, protected, unprotected, payload)
}

pub(crate) fn message_by(key: &KeyPair, protected: &[u8], unprotected: &[u8], payload: &[u8]) -> Vec<u8> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key.serialize_der()).unwrap();
    let signature = key.sign(&SystemRandom::new(), &signed_bytes(protected, payload)).unwrap();
    array(&[bytes(protected), unprotected.to_vec(), bytes(payload), bytes(signature.as_ref())])
}

pub(crate) fn document(fields: &Fields) -> Vec<u8> {
    message(&PROTECTED, &map(&[]), &payload(fields))
}
