//! What came along beside the certificates that count: nothing that belongs to something else.

use super::authentic::Facts;
use crate::check::{Checks, Rule};
use crate::x509::{EvidenceKind, Profile, Roots, above, find_any_path};
use podseal_protocol::Digest;
use x509_parser::prelude::X509Certificate;

/// Each certificate of the set belongs to the report.
static SNP_CERTIFICATES: Rule = Rule {
    name: "snp.certificates",
    spec: "AMD 57230, certificate chains; RFC 5280, 6.1",
    remedy: "Send only the certificates of this report's key and its authorities: one of these is altered, or another report's.",
};

/// What a set owes that is to have no part that nobody vouches for.
pub static SET_RULES: [&Rule; 1] = [&SNP_CERTIFICATES];

const PROFILE: Profile = Profile { purpose: "AMD's certificates", usage: None, processed: &[] };

/// Appraises the set of certificates that came along with a report of which `facts` are known, used or not. Every one is of the key that
/// signed, or of an authority under the same root: a set with an altered certificate, or with another report's, is none that AMD and the
/// host handed out.
///
/// Where that root is configured as its certificate, those of the authorities above it may be there as well.
///
/// Dates don't count: a certificate that is not used may be out of date, and one that is used is judged with its path.
pub fn appraise_set(certificates: &[X509Certificate<'_>], facts: &Facts, roots: &Roots, now: u64, checks: &mut Checks) -> bool {
    let anchors = roots.for_kind(EvidenceKind::Snp);
    let anchor = anchors.clone().find(|anchor| facts.signers().last() == Some(&anchor.key));
    let higher = anchor.map(|anchor| above(anchor, certificates)).unwrap_or_default();
    let strange = certificates.iter().enumerate().find_map(|(place, certificate)| {
        if higher.contains(&place) {
            return None;
        }
        if !certificate.is_ca() && facts.signers().first() != Some(&Digest::of(certificate.public_key().raw)) {
            return Some(format!("{} of another key than the one that signed", certificate.subject()));
        }
        let validity = certificate.validity();
        let bound = |time: i64| u64::try_from(time).unwrap_or_default();
        let now = now.min(bound(validity.not_after.timestamp())).max(bound(validity.not_before.timestamp()));
        match find_any_path(certificate, certificates, anchors.clone(), &PROFILE, now) {
            Ok(path) if facts.signers().last() == Some(&path.anchor.key) => None,
            Ok(path) => Some(format!("{} under {}", certificate.subject(), path.anchor.name)),
            Err(error) => Some(error.to_string()),
        }
    });
    let found = strange.clone().unwrap_or_else(|| "no others".to_owned());
    checks.record(&SNP_CERTIFICATES, strange.is_none(), "certificates of the key that signed, and of authorities under its root", found)
}
