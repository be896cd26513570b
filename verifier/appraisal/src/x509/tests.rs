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
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair,
        SerialNumber, date_time_ymd,
    };

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
