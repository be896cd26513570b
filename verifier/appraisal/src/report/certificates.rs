//! The certificates among the parts.

use super::parts::{Item, Parts};
use crate::x509::parse;
use std::collections::BTreeSet;
use x509_parser::prelude::X509Certificate;

/// Certificates that are looked at: with more there is no path, whatever stands in them.
const MOST: usize = 18;

/// The certificates that are `wanted`, in their order, each once; the first of them where there are more than a path can have.
pub(super) fn distinct<'p>(parts: &'p Parts<'_>, wanted: impl Fn(&X509Certificate<'_>) -> bool) -> Vec<X509Certificate<'p>> {
    let mut seen = BTreeSet::new();
    each(parts).filter(|certificate| wanted(certificate) && seen.insert(certificate.as_raw())).take(MOST).collect()
}

/// Every certificate, parsed one after another.
pub(super) fn each<'p>(parts: &'p Parts<'_>) -> impl Iterator<Item = X509Certificate<'p>> {
    parts.items().filter_map(|item| if let Item::Certificate(der) = item { parse(der) } else { None })
}
