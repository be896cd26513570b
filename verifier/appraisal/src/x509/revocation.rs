//! What revocation lists say of a path (RFC 5280, 6.3): whose they are, and which of its certificates they name.

use super::crl::{Crl, Issuer};
use super::path::Path;
use super::roots::Roots;
use podseal_protocol::Digest;
use x509_parser::prelude::X509Certificate;

/// A path with the certificates on it.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'c, 'd> {
    /// The certificate that it leads up from.
    pub leaf: &'c X509Certificate<'d>,
    /// The way up.
    pub path: &'c Path<'c>,
    /// The certificates among which it was found.
    pub others: &'c [X509Certificate<'d>],
}

impl<'c, 'd> Chain<'c, 'd> {
    /// The certificates above the leaf, the root's last if it came.
    pub fn issuers(&self) -> impl Iterator<Item = &'c X509Certificate<'d>> {
        self.path.issuers.iter().filter_map(|place| self.others.get(*place))
    }

    /// The lists, of each of which an authority of the path is the issuer and signed it, and which is current at `now`.
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn current<'l>(&self, lists: &[&'l [u8]], roots: &Roots, now: u64) -> Result<Vec<CurrentList<'l>>, String> {
        let current = |der: &&'l [u8]| {
            let crl = Crl::parse(der).map_err(|error| error.to_string())?;
            let mut authorities = self.issuers().map(Issuer::from).chain(self.path.anchor.issuer());
            let authority = authorities.find(|authority| crl.is_of(*authority));
            let authority = authority.ok_or_else(|| format!("a list of {}, which is not on the path", crl.issuer()))?;
            roots.verify_list(&crl, authority, now).map_err(|error| error.to_string())?;
            Ok(CurrentList { authority: Digest::of(authority.key), crl })
        };
        lists.iter().map(current).collect()
    }

    /// The certificates of the path that a list of the authority which issued them names.
    #[must_use]
    pub fn revoked(&self, lists: &[CurrentList<'_>]) -> Vec<&'c X509Certificate<'d>> {
        let keys = self.issuers().map(|issuer| Digest::of(issuer.public_key().raw)).chain([self.path.anchor.key]);
        let issued = [self.leaf].into_iter().chain(self.issuers()).zip(keys);
        let names = |one: &X509Certificate<'_>, key| lists.iter().any(|list| list.authority == key && list.crl.revokes(one));
        issued.filter(|(one, key)| names(one, *key)).map(|(one, _)| one).collect()
    }
}

/// A list that counts: made only by [`Chain::current`].
#[derive(Debug)]
pub struct CurrentList<'l> {
    authority: Digest,
    crl: Crl<'l>,
}

impl CurrentList<'_> {
    /// SHA-256 of the key that signed it (`SubjectPublicKeyInfo`).
    #[must_use]
    pub fn authority(&self) -> Digest {
        self.authority
    }

    /// `cRLNumber`: see [`Crl::number`].
    #[must_use]
    pub fn number(&self) -> Option<Vec<u8>> {
        self.crl.number()
    }
}
