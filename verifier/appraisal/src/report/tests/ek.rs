//! Certificates of endorsement keys.

use super::{outcome, verify};
use crate::claims::RootKind;
use crate::report::Verdict;
use crate::x509::{Anchor, Roots};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};

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
    assert_eq!(outcome(&verify(&files, None, &Roots::default())), (Verdict::Rejected, vec!["ek.chain"]));
    let alone = verify(&files[..1], None, &roots);
    assert_eq!((alone.verdict, alone.missing[0].part), (Verdict::Incomplete, "chain"));
    let more = [&files[..], &[("3", stranger.der().as_ref())]].concat();
    assert_eq!(outcome(&verify(&more, None, &roots)), (Verdict::Rejected, vec!["ek.certificates"]));
    let other = leaf(vec![1, 3, 6, 1], &maker);
    assert_eq!(outcome(&verify(&[("1", &other), ("2", maker.der())], None, &roots)), (Verdict::Rejected, vec!["ek.usage"]));
}
