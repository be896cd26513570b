use super::appraise;
use super::forge::{EK_TAIL, modulus, rsa_public};
use crate::claims::RootKind;
use crate::tpm::ek::{EkIdentity, EkRoot, EkRoots, RULES, appraise_ek};
use crate::x509::RootError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_RSA_SHA256,
    PublicKeyData as _, RsaKeySize, date_time_ymd,
};
use std::sync::OnceLock;

/// 2026-06-01.
const NOW: u64 = 1_780_272_000;
const EK_ATTRIBUTES: u32 = 0x0003_00b2;

struct Maker {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
    eks: [KeyPair; 2],
}

fn maker() -> &'static Maker {
    static MAKER: OnceLock<Maker> = OnceLock::new();
    MAKER.get_or_init(|| {
        let root = CertifiedIssuer::self_signed(ca("root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate = CertifiedIssuer::signed_by(ca("intermediate"), KeyPair::generate().unwrap(), &root).unwrap();
        let eks = [(); 2].map(|()| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());
        Maker { root, intermediate, eks }
    })
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// An EK certificate as makers issue it: critical subject alternative name of a directoryName, no server name.
fn leaf(usage: Option<Vec<u64>>) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.extended_key_usages.extend(usage.map(ExtendedKeyUsagePurpose::Other));
    // GeneralNames { [4] Name { SET { 2.23.133.2.1 UTF8String "id:1" } } }
    let name =
        [&[0x30, 0x17, 0xa4, 0x15, 0x30, 0x13, 0x31, 0x11, 0x30, 0x0f][..], &[6, 5, 0x67, 0x81, 5, 2, 1], &[0x0c, 6], b"id:001"].concat();
    params.custom_extensions.push(extension(&[2, 5, 29, 17], &name, true));
    params
}

fn extension(oid: &[u64], contents: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, contents.to_vec());
    extension.set_criticality(critical);
    extension
}

fn certificate(usage: Option<Vec<u64>>) -> Vec<u8> {
    leaf(usage).signed_by(&maker().eks[0], &maker().intermediate).unwrap().der().to_vec()
}

fn honest() -> Vec<u8> {
    certificate(Some(vec![2, 23, 133, 8, 1]))
}

fn ek_public(which: usize) -> Vec<u8> {
    rsa_public(0x0b, EK_ATTRIBUTES, EK_TAIL, &modulus(maker().eks[which].der_bytes()))
}

fn root(kind: RootKind) -> EkRoot {
    EkRoot { name: "maker".into(), kind, certificate: maker().root.der().to_vec() }
}

fn run(certificate: &[u8], public: &[u8], roots: Vec<EkRoot>, now: u64) -> (Option<EkIdentity>, Vec<&'static str>) {
    run_through(&maker().intermediate, certificate, public, roots, now)
}

fn run_through(
    intermediate: &CertifiedIssuer<'_, KeyPair>,
    certificate: &[u8],
    public: &[u8],
    roots: Vec<EkRoot>,
    now: u64,
) -> (Option<EkIdentity>, Vec<&'static str>) {
    let roots = EkRoots::new(roots).unwrap();
    appraise(&RULES, |checks| appraise_ek(certificate, public, &[intermediate.der().as_ref()], &roots, now, checks))
}

fn refused_at(rule: &str, outcome: (Option<EkIdentity>, Vec<&'static str>)) {
    assert_eq!(outcome.1, [rule]);
    assert!(outcome.0.is_none());
}

#[test]
fn honest_ek_is_known_by_its_key_and_root() {
    let (identity, failed) = run(&honest(), &ek_public(0), vec![root(RootKind::Production)], NOW);
    assert_eq!(failed, [""; 0]);
    let identity = identity.unwrap();
    assert_eq!((identity.root(), identity.kind()), ("maker", RootKind::Production));
    assert_eq!(identity.hash(), podseal_protocol::Digest::of(&maker().eks[0].subject_public_key_info()));
}

#[test]
fn test_root_is_never_production() {
    let (identity, _) = run(&honest(), &ek_public(0), vec![root(RootKind::Test)], NOW);
    assert_eq!(identity.unwrap().kind(), RootKind::Test);
}

#[test]
fn padding_of_the_nv_index_is_cut_off_and_nothing_else() {
    for filling in [0, 0xff] {
        let padded = [honest(), vec![filling; 300]].concat();
        assert!(run(&padded, &ek_public(0), vec![root(RootKind::Test)], NOW).0.is_some());
    }
    let followed = [honest(), vec![1]].concat();
    assert!(run(&followed, &ek_public(0), vec![root(RootKind::Test)], NOW).1.contains(&"ek.chain"));
}

#[test]
fn ek_root_unknown() {
    refused_at("ek.chain", run(&honest(), &ek_public(0), vec![], NOW));
    let other = CertifiedIssuer::self_signed(ca("root"), KeyPair::generate().unwrap()).unwrap();
    let same_name = EkRoot { name: "same name".into(), kind: RootKind::Production, certificate: other.der().to_vec() };
    refused_at("ek.chain", run(&honest(), &ek_public(0), vec![same_name], NOW));
}

#[test]
fn certificate_outside_its_validity() {
    for now in [0, 1_704_067_200, 1_830_297_600, u64::from(u32::MAX)] {
        refused_at("ek.chain", run(&honest(), &ek_public(0), vec![root(RootKind::Test)], now));
    }
}

#[test]
fn certificate_of_no_ek() {
    for usage in [None, Some(vec![2, 23, 133, 8, 3])] {
        refused_at("ek.usage", run(&certificate(usage), &ek_public(0), vec![root(RootKind::Test)], NOW));
    }
}

#[test]
fn ak_of_other_ek_certificate() {
    refused_at("ek.key_matches_certificate", run(&honest(), &ek_public(1), vec![root(RootKind::Test)], NOW));
}

#[test]
fn ek_of_another_template() {
    let modulus = modulus(maker().eks[0].der_bytes());
    for public in [
        rsa_public(0x0b, EK_ATTRIBUTES & !(1 << 16), EK_TAIL, &modulus),
        rsa_public(0x0b, EK_ATTRIBUTES & !(1 << 17), EK_TAIL, &modulus),
        rsa_public(0x0c, EK_ATTRIBUTES, EK_TAIL, &modulus),
        rsa_public(0x0b, EK_ATTRIBUTES, &[6, 256, 0x43, 0x10, 2048, 0, 0], &modulus),
        rsa_public(0x0b, EK_ATTRIBUTES, &[6, 128, 0x43, 0x10, 3072, 0, 0], &modulus),
        rsa_public(0x0b, EK_ATTRIBUTES, &[6, 128, 0x43, 0x17, 0x0b, 2048, 0, 0], &modulus),
        vec![],
    ] {
        refused_at("ek.template", run(&honest(), &public, vec![root(RootKind::Test)], NOW));
    }
}

#[test]
fn intermediate_that_may_not_certify_an_ek() {
    type Change = fn(&mut CertificateParams);
    let changes: [(&str, bool, Change); 9] = [
        ("honest", true, |_| ()),
        ("policies critical", true, |ca| {
            ca.custom_extensions.push(extension(&[2, 5, 29, 32], &[0x30, 8, 0x30, 6, 6, 4, 0x55, 0x1d, 0x20, 0], true))
        }),
        ("usage for EKs", true, |ca| ca.extended_key_usages.push(ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1]))),
        ("no authority", false, |ca| ca.is_ca = IsCa::ExplicitNoCa),
        ("key usage", false, |ca| ca.key_usages.push(rcgen::KeyUsagePurpose::CrlSign)),
        ("extended key usage", false, |ca| ca.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)),
        ("unknown critical extension", false, |ca| ca.custom_extensions.push(extension(&[1, 2, 3, 4], &[5, 0], true))),
        ("name constraints", false, |ca| {
            let subtree = rcgen::GeneralSubtree::DnsName("example.org".into());
            ca.name_constraints = Some(rcgen::NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: vec![] });
        }),
        ("expired", false, |ca| ca.not_after = date_time_ymd(2026, 1, 1)),
    ];
    for (what, passes, change) in changes {
        let mut params = ca("intermediate");
        change(&mut params);
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &maker().root).unwrap();
        let certificate = leaf(Some(vec![2, 23, 133, 8, 1])).signed_by(&maker().eks[0], &issuer).unwrap();
        let (identity, failed) = run_through(&issuer, certificate.der(), &ek_public(0), vec![root(RootKind::Test)], NOW);
        assert_eq!(identity.is_some(), passes, "{what}");
        assert_eq!(failed, if passes { vec![] } else { vec!["ek.chain"] }, "{what}");
    }
}

#[test]
fn path_longer_than_an_issuer_allows() {
    let mut short = ca("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let upper = CertifiedIssuer::signed_by(short, KeyPair::generate().unwrap(), &maker().root).unwrap();
    let lower = CertifiedIssuer::signed_by(ca("lower"), KeyPair::generate().unwrap(), &upper).unwrap();
    let roots = EkRoots::new(vec![root(RootKind::Test)]).unwrap();
    for (issuer, failed) in [(&upper, vec![]), (&lower, vec!["ek.chain"])] {
        let certificate = leaf(Some(vec![2, 23, 133, 8, 1])).signed_by(&maker().eks[0], issuer).unwrap();
        let both = [upper.der().as_ref(), lower.der().as_ref()];
        let outcome = appraise(&RULES, |checks| appraise_ek(certificate.der(), &ek_public(0), &both, &roots, NOW, checks));
        assert_eq!(outcome.1, failed);
    }
}

#[test]
fn altered_certificate_or_missing_intermediate() {
    let honest = honest();
    let roots = EkRoots::new(vec![root(RootKind::Test)]).unwrap();
    let outcome = appraise(&RULES, |checks| appraise_ek(&honest, &ek_public(0), &[], &roots, NOW, checks));
    refused_at("ek.chain", outcome);
    let mut altered = honest.clone();
    *altered.last_mut().unwrap() ^= 1;
    refused_at("ek.chain", run(&altered, &ek_public(0), vec![root(RootKind::Test)], NOW));
    let itself = maker().intermediate.der().to_vec();
    assert!(run(&itself, &ek_public(0), vec![root(RootKind::Test)], NOW).1.contains(&"ek.chain"));
    let many = vec![maker().intermediate.der().as_ref(); 17];
    refused_at("ek.chain", appraise(&RULES, |checks| appraise_ek(&honest, &ek_public(0), &many, &roots, NOW, checks)));
}

#[test]
fn roots_of_one_key_and_roots_that_are_none_are_refused() {
    let again = EkRoot { name: "again".into(), ..root(RootKind::Production) };
    let error = EkRoots::new(vec![root(RootKind::Test), again]).unwrap_err();
    assert_eq!(error, RootError::SameKey { first: "maker".into(), second: "again".into() });
    let none = EkRoot { certificate: vec![0x30, 0], ..root(RootKind::Test) };
    assert!(matches!(EkRoots::new(vec![none]), Err(RootError::Certificate { .. })));
}
