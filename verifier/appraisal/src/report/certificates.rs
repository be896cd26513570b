//! The certificates among the parts.

use super::findings::Findings;
use super::parts::{Item, Parts};
use crate::x509::parse;
use std::collections::BTreeSet;
use x509_parser::prelude::X509Certificate;

/// Certificates beside one piece of evidence: with more there is no path, whatever stands in them.
pub(super) const MOST: usize = 18;

/// The certificates that are `wanted`, in their order, each once. More than a path can have are malformed, since nobody looks at the rest.
pub(super) fn distinct<'p>(
    parts: &'p Parts<'_>,
    wanted: impl Fn(&X509Certificate<'_>) -> bool,
    findings: &mut Findings,
) -> Vec<X509Certificate<'p>> {
    let mut seen = BTreeSet::new();
    let mut all = each(parts).filter(|certificate| wanted(certificate) && seen.insert(certificate.as_raw()));
    let first = all.by_ref().take(MOST).collect();
    if all.next().is_some() {
        too_many(findings);
    }
    first
}

/// Tells of more than [`MOST`].
pub(super) fn too_many(findings: &mut Findings) {
    findings.malformed("certificates", format!("more than {MOST} different ones; send those that lead to one root"));
}

/// Every certificate, parsed one after another.
pub(super) fn each<'p>(parts: &'p Parts<'_>) -> impl Iterator<Item = X509Certificate<'p>> {
    parts.items().filter_map(|item| if let Item::Certificate(der) = item { parse(der) } else { None })
}
