#![allow(clippy::unwrap_used)]

use super::pem::{self, PemError};
use super::{EvidenceKind, Roots};

/// A shipped file that does not parse would silently be no root.
#[test]
fn shipped_roots_are_all_there() {
    let roots = Roots::shipped();
    let count = |kind| roots.for_kind(kind).count();
    assert_eq!((count(EvidenceKind::Snp), count(EvidenceKind::Tdx), count(EvidenceKind::Nitro), count(EvidenceKind::Tpm)), (3, 1, 1, 25));
}

#[test]
fn pem_ends_as_it_begins() {
    let block = |end: &str| format!("text\n-----BEGIN X-----\nAAEC\n-----END {end}-----\n");
    assert_eq!(pem::blocks(&block("X")), Ok(vec![("X", vec![0, 1, 2])]));
    assert_eq!(pem::blocks(&block("Y")), Err(PemError::NoEnd));
    assert_eq!(pem::blocks("-----BEGIN X-----\nAAEC"), Err(PemError::NoEnd));
    assert_eq!(pem::blocks(&block("X").replace("AAEC", "AAE")), Err(PemError::Base64));
}

mod kept_paths {
    use crate::claims::RootKind;
    use crate::x509::{Anchor, Crl, CrlError, EvidenceKind, Issuer, Profile, Roots, parse};
    use podseal_protocol::Digest;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyIdMethod,
        KeyPair, SerialNumber, date_time_ymd,
    };

    use x509_parser::oid_registry::{Oid, asn1_rs::oid};

    const EXTENSION: Oid<'static> = oid!(1.3.6.1.4.1.99999.1);
    const SPECIAL: Profile = Profile { purpose: "a special test", usage: None, processed: &[EXTENSION] };
    const PROFILE: Profile = Profile { purpose: "a test", usage: None, processed: &[] };
    /// 2026-01-01 and 2028-01-01.
    const WITHIN: u64 = 1_767_225_600;
    const AFTER: u64 = 1_830_297_600;

    /// A path that is kept is not one for ever: the dates of each certificate on it count at each appraisal.
    #[test]
    fn kept_path_expires() {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let mut leaf = CertificateParams::default();
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2027, 1, 1));
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
        let roots = Roots::new(vec![Anchor::of_certificate("root".into(), RootKind::Test, root.der()).unwrap()]).unwrap();
        let leaf = parse(leaf.der()).unwrap();
        for _ in 0..2 {
            assert!(roots.path(EvidenceKind::Tpm, &leaf, &[], &PROFILE, WITHIN).is_ok());
            assert!(roots.path(EvidenceKind::Tpm, &leaf, &[], &PROFILE, AFTER).is_err());
        }
        assert!(Roots::default().path(EvidenceKind::Tpm, &leaf, &[], &PROFILE, WITHIN).is_err());
    }

    /// A path that is kept is one for the same certificates, purpose, kind of evidence and roots, and for no others.
    #[test]
    fn kept_path_is_for_what_it_was_found_with() {
        let authority = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root = CertifiedIssuer::self_signed(authority(), KeyPair::generate().unwrap()).unwrap();
        let mut between = authority();
        between.distinguished_name.push(DnType::CommonName, "between");
        let between = CertifiedIssuer::signed_by(between, KeyPair::generate().unwrap(), &root).unwrap();
        let mut leaf = CertificateParams::default();
        let mut special = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        special.set_criticality(true);
        leaf.custom_extensions.push(special);
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &between).unwrap();
        let key = crate::hex::encode(&Digest::of(parse(root.der()).unwrap().public_key().raw).0);
        let file = format!("[[root]]\nname = \"root\"\nevidence = [\"tpm\"]\nkind = \"test\"\nkey_sha256 = \"{key}\"\n");
        let roots = Roots::new(Roots::of_file("root.toml", &file).unwrap()).unwrap();
        let (root, between) = (root.der().to_vec(), between.der().to_vec());
        let find = |roots: &Roots, kind, leaf: &[u8], others: [&[u8]; 2], profile: &Profile| {
            let others = others.map(|der| parse(der).unwrap());
            roots.path(kind, &parse(leaf).unwrap(), &others, profile, WITHIN).is_ok()
        };
        assert!(find(&roots, EvidenceKind::Tpm, leaf.der(), [&between, &root], &SPECIAL));
        assert!(find(&roots, EvidenceKind::Tpm, leaf.der(), [&root, &between], &SPECIAL), "in another order");
        assert!(!find(&roots, EvidenceKind::Tpm, leaf.der(), [&between, &root], &PROFILE), "another purpose");
        let unprocessed = Profile { processed: &[], ..SPECIAL };
        assert!(!find(&roots, EvidenceKind::Tpm, leaf.der(), [&between, &root], &unprocessed), "another extension that is processed");
        assert!(!find(&roots, EvidenceKind::Snp, leaf.der(), [&between, &root], &SPECIAL), "another kind");
        let altered = |der: &[u8]| {
            let mut der = der.to_vec();
            *der.last_mut().unwrap() ^= 1;
            der
        };
        assert!(!find(&roots, EvidenceKind::Tpm, &altered(leaf.der()), [&between, &root], &SPECIAL), "another leaf");
        assert!(!find(&roots, EvidenceKind::Tpm, leaf.der(), [&altered(&between), &root], &SPECIAL), "another intermediate");
        assert!(!find(&roots, EvidenceKind::Tpm, leaf.der(), [&between, &altered(&root)], &SPECIAL), "another root's certificate");
        assert!(!find(&Roots::default(), EvidenceKind::Tpm, leaf.der(), [&between, &root], &SPECIAL), "other roots");
    }

    /// The dates of a list count at each appraisal, and so does whose it is, though its signature is verified once.
    #[test]
    fn kept_list_expires() {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let [maker, other] = ["maker", "other"].map(authority);
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&maker).unwrap();
        let (list, roots) = (Crl::parse(list.der()).unwrap(), Roots::default());
        let [maker, other] = [maker.der(), other.der()].map(|der| parse(der).unwrap());
        for _ in 0..2 {
            assert_eq!(roots.verify_list(&list, (&maker).into(), WITHIN), Ok(()));
            assert!(matches!(roots.verify_list(&list, (&maker).into(), AFTER), Err(CrlError::Validity { .. })));
            let (name, key) = (maker.subject().as_raw(), maker.public_key().raw);
            for issuer in [Issuer { name, key: other.public_key().raw }, Issuer { name: other.subject().as_raw(), key }] {
                assert!(matches!(roots.verify_list(&list, issuer, WITHIN), Err(CrlError::Signature { .. })));
            }
        }
    }
}
