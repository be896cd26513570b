//! Revocation lists that came beside a document.

use super::{Expected, rules};
use crate::check::Checks;
use crate::x509::{self, Crl, Issuer, Path};
use podseal_protocol::Digest;
use x509_parser::prelude::X509Certificate;

/// Appraises the lists, and what they say of the certificates of the path from `leaf` over `others`.
pub(super) fn appraise(
    leaf: &X509Certificate<'_>,
    path: &Path<'_>,
    others: &[X509Certificate<'_>],
    expected: &Expected<'_>,
    checks: &mut Checks,
) -> bool {
    checks.also_owing(&[&rules::CRL, &rules::REVOKED]);
    let issuers = path.issuers.iter().filter_map(|place| others.get(*place)).collect::<Vec<_>>();
    let mut revoked = Vec::new();
    let mut refused = None;
    for der in expected.lists {
        match verified(der, path, &issuers, expected) {
            Ok((list, authority)) => revoked.extend(withdrawn(&list, authority, leaf, &issuers, path)),
            Err(error) => refused = Some(error),
        }
    }
    let found = refused.clone().unwrap_or_else(|| format!("{} current", expected.lists.len()));
    let holds = checks.record(&rules::CRL, refused.is_none(), "current lists of authorities on the path", found);
    let found = if revoked.is_empty() { "none".to_owned() } else { revoked.join(" and ") };
    checks.record(&rules::REVOKED, revoked.is_empty(), "none", found) && holds
}

/// The list and its authority's key, if a certificate of the path or the root itself signed it, and it is current.
fn verified<'l>(
    der: &'l [u8],
    path: &Path<'_>,
    issuers: &[&X509Certificate<'_>],
    expected: &Expected<'_>,
) -> Result<(Crl<'l>, Digest), String> {
    let list = Crl::parse(der).map_err(|error| error.to_string())?;
    let mut authorities = issuers.iter().map(|issuer| Issuer::from(*issuer)).chain(path.anchor.issuer());
    let authority = authorities.find(|authority| list.is_of(*authority)).ok_or("a list of nobody on the path")?;
    expected.roots.verify_list(&list, authority, expected.now).map_err(|error| error.to_string())?;
    Ok((list, Digest::of(authority.key)))
}

/// The certificate of the path that `authority` issued and withdrew.
fn withdrawn(
    list: &Crl<'_>,
    authority: Digest,
    leaf: &X509Certificate<'_>,
    issuers: &[&X509Certificate<'_>],
    path: &Path<'_>,
) -> Option<String> {
    let keys = issuers.iter().map(|issuer| Digest::of(issuer.public_key().raw)).chain([path.anchor.key]);
    let mut issued = [leaf].into_iter().chain(issuers.iter().copied()).zip(keys);
    let (certificate, _) = issued.find(|(certificate, key)| *key == authority && list.revokes(certificate))?;
    Some(x509::rfc4514(certificate.subject()))
}
