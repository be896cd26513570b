//! What came along beside the certificates that count: nothing that isn't AMD's.

use crate::check::{Checks, Rule};
use crate::x509::{EvidenceKind, Profile, Roots, find_any_path};
use x509_parser::prelude::X509Certificate;

/// Each certificate of the set leads to a root of AMD's.
static SNP_CERTIFICATES: Rule = Rule {
    name: "snp.certificates",
    spec: "AMD 57230, 2; RFC 5280, 6.1",
    remedy: "Send only certificates of AMD's: one of these is altered, or somebody else's.",
};

/// What a set owes that is to have no part that nobody vouches for.
pub static SET_RULES: [&Rule; 1] = [&SNP_CERTIFICATES];

const PROFILE: Profile = Profile { purpose: "AMD's certificates", usage: None, processed: &[] };

/// Appraises a set of certificates by itself, used or not: a set with an altered certificate is no set as AMD and the host handed it out.
///
/// Dates don't count: a certificate that is not used may be out of date, and one that is used is judged with its path.
pub fn appraise_set(certificates: &[X509Certificate<'_>], roots: &Roots, now: u64, checks: &mut Checks) -> bool {
    let anchors = roots.for_kind(EvidenceKind::Snp);
    let strange = certificates.iter().find_map(|certificate| {
        let validity = certificate.validity();
        let bound = |time: i64| u64::try_from(time).unwrap_or_default();
        let now = now.min(bound(validity.not_after.timestamp())).max(bound(validity.not_before.timestamp()));
        find_any_path(certificate, certificates, anchors.clone(), &PROFILE, now).err()
    });
    let found = strange.as_ref().map_or_else(|| "each leads to one".to_owned(), ToString::to_string);
    checks.record(&SNP_CERTIFICATES, strange.is_none(), roots.wanted(EvidenceKind::Snp), found)
}
