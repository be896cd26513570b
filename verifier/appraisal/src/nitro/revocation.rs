//! Revocation lists that came beside a document.

use super::{Expected, rules};
use crate::check::Checks;
use crate::x509::{Chain, rfc4514};

/// Appraises the lists, and what they say of the document's certificates.
pub(super) fn appraise(chain: &Chain<'_, '_>, expected: &Expected<'_>, checks: &mut Checks) -> bool {
    checks.also_owing(&[&rules::CRL, &rules::REVOKED]);
    let lists = chain.current(expected.lists, expected.roots, expected.now);
    let found = lists.as_ref().map_or_else(Clone::clone, |lists| format!("{} current", lists.len()));
    checks.record(&rules::CRL, lists.is_ok(), "current lists of authorities on the path", found);
    let Ok(lists) = lists else { return false };
    let revoked = chain.revoked(&lists).into_iter().map(|one| rfc4514(one.subject())).collect::<Vec<_>>();
    let found = if revoked.is_empty() { "none".to_owned() } else { revoked.join(" and ") };
    checks.record(&rules::REVOKED, revoked.is_empty(), "none", found)
}
