//! What makers publish, minted here.

use std::{path::Path, sync::Arc, time::Duration};

use podseal_appraisal::endorsement::{Answer, Endorsed, Endorsement, Facts, Service, ServiceKind};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use crate::{Ages, DAY, Deadlines, Found, Gatherer, Place, Settings};

/// 2026-06-01.
pub(super) const NOW: u64 = 1_780_272_000;

pub(super) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A list with a number, for a year from the beginning of `from`.
pub(super) fn crl(number: u8, from: i32) -> Vec<u8> {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(from, 1, 1),
        next_update: date_time_ymd(from + 1, 1, 1),
        crl_number: SerialNumber::from_slice(&[number]),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority("maker")).unwrap().der().to_vec()
}

/// The parts of a list of some authority, as if it had been fetched at `fetched`.
pub(super) fn list(url: &str, number: u8, fetched: u64) -> (Endorsed, Facts) {
    let endorsement = Endorsement::crl(url).unwrap();
    let service = Service { kind: ServiceKind::CrlSite, url: url.to_owned() };
    let (content, facts) = Answer { body: crl(number, 2026), issuer_chain: None }.read(&service, &endorsement).unwrap();
    (Endorsed { endorsement, content, source: url.to_owned(), fetched }, facts)
}

pub(super) fn tcb_info(number: u32) -> Vec<u8> {
    let inner = format!(
        r#"{{"id":"TDX","fmspc":"00806F050000","issueDate":"2026-05-20T10:00:00Z","nextUpdate":"2026-06-19T10:00:00Z","tcbEvaluationDataNumber":{number}}}"#
    );
    format!(r#"{{"tcbInfo":{inner},"signature":"00"}}"#).into_bytes()
}

pub(super) fn settings(directory: &Path, places: Vec<Place>) -> Settings {
    let deadlines = Deadlines { connect: Duration::from_millis(500), total: Duration::from_millis(1500), retry: Duration::from_secs(60) };
    let ages = Ages { crl: 2 * DAY, ..Ages::default() };
    Settings { directory: directory.to_owned(), most_bytes: 1 << 20, places, deadlines, ages, tls_roots: "/nowhere/roots.pem".into() }
}

pub(super) fn admit_all(_: &Found, _: u64) -> Result<(), String> {
    Ok(())
}

pub(super) fn gatherer(directory: &Path, places: Vec<Place>) -> Gatherer {
    Gatherer::new(settings(directory, places), Arc::new(admit_all)).unwrap()
}

/// A service without TLS.
pub(super) fn place(kind: ServiceKind, url: &str) -> Place {
    Place::new(Service { kind, url: url.to_owned() }, true).unwrap()
}
