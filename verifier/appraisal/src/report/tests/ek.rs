//! Certificates of endorsement keys.

use super::{outcome, verify};
use crate::claims::RootKind;
use crate::report::Verdict;
use crate::x509::{Anchor, Roots};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

fn leaf(usage: Vec<u64>, issuer: &CertifiedIssuer<'_, KeyPair>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(usage)];
    params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().to_vec()
}

#[test]
fn ek_certificate_to_its_maker() {
    let root = CertifiedIssuer::self_signed(ca("root"), KeyPair::generate().unwrap()).unwrap();
    let maker = CertifiedIssuer::signed_by(ca("maker"), KeyPair::generate().unwrap(), &root).unwrap();
    let stranger = CertifiedIssuer::self_signed(ca("stranger"), KeyPair::generate().unwrap()).unwrap();
    let roots = Roots::new(vec![Anchor::of_certificate("root".into(), RootKind::Test, root.der()).unwrap()]).unwrap();
    let ek = leaf(vec![2, 23, 133, 8, 1], &maker);
    let files: [(&str, &[u8]); 2] = [("1", &ek), ("2", maker.der())];
    assert_eq!(outcome(&verify(&files, None, &roots)), (Verdict::Verified, vec![]));
    let whole = [&files[..], &[("0", root.der().as_ref())]].concat();
    assert_eq!(outcome(&verify(&whole, None, &roots)), (Verdict::Verified, vec![]));
    assert_eq!(outcome(&verify(&whole, None, &Roots::default())), (Verdict::Rejected, vec!["ek.chain"]));
    let alone = verify(&files[..1], None, &roots);
    assert_eq!((alone.verdict, alone.missing[0].part), (Verdict::Incomplete, "chain"));
    let more = [&files[..], &[("3", stranger.der().as_ref())]].concat();
    assert_eq!(outcome(&verify(&more, None, &roots)), (Verdict::Rejected, vec!["ek.certificates"]));
    let other = leaf(vec![1, 3, 6, 1], &maker);
    assert_eq!(outcome(&verify(&[("1", &other), ("2", maker.der())], None, &roots)), (Verdict::Rejected, vec!["ek.usage"]));
}

fn list(issuer: &CertifiedIssuer<'_, KeyPair>, until: i32, revoked: &[u64]) -> Vec<u8> {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2025, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 1, 1),
        next_update: date_time_ymd(until, 6, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

#[test]
fn ek_certificate_that_was_withdrawn() {
    let authority = |name: &str| {
        let mut params = ca(name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    };
    let root = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
    let maker = CertifiedIssuer::signed_by(authority("maker"), KeyPair::generate().unwrap(), &root).unwrap();
    let stranger = CertifiedIssuer::self_signed(authority("stranger"), KeyPair::generate().unwrap()).unwrap();
    let roots = Roots::new(vec![Anchor::of_certificate("root".into(), RootKind::Test, root.der()).unwrap()]).unwrap();
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
    params.serial_number = Some(SerialNumber::from(7));
    let ek = params.signed_by(&KeyPair::generate().unwrap(), &maker).unwrap().der().to_vec();
    let with = |list: &[u8]| outcome(&verify(&[("1", &ek), ("2", maker.der()), ("3", root.der()), ("4", list)], None, &roots));
    assert_eq!(with(&list(&maker, 2027, &[8])), (Verdict::Verified, vec![]));
    assert_eq!(with(&list(&maker, 2027, &[7])), (Verdict::Rejected, vec!["ek.revoked"]));
    assert_eq!(with(&list(&root, 2027, &[7])), (Verdict::Verified, vec![]));
    assert_eq!(with(&list(&maker, 2025, &[])), (Verdict::Rejected, vec!["ek.crl"]));
    assert_eq!(with(&list(&stranger, 2027, &[])), (Verdict::Rejected, vec!["ek.crl"]));
}
