//! Revocation lists of AMD's roots, which name authorities that no longer count (AMD 57230, certificate revocation lists).

use super::authentic::Trust;
use crate::check::{Checks, Rule};
use crate::hex::encode as hex;
use crate::x509::{Chain, CurrentList};
use podseal_protocol::Digest;

/// Each list is a current one of an authority on the way to the root, the root's among them where lists are demanded.
static SNP_CRL: Rule = Rule {
    name: "snp.crl",
    spec: "AMD 57230, certificate revocation lists; RFC 5280, 5 and 6.3.3",
    remedy: "Fetch the root's revocation list from AMD's KDS again; the one there is missing, out of date or another root's.",
};
/// No list is older than one that was seen before.
static SNP_CRL_NUMBER: Rule = Rule {
    name: "snp.crl_number",
    spec: "RFC 5280, 5.2.3",
    remedy: "Fetch the root's revocation list from AMD's KDS again; somebody hands out an older one than before.",
};
/// No certificate on the way to the root is on a list.
static SNP_REVOKED: Rule = Rule {
    name: "snp.revoked",
    spec: "AMD 57230, certificate revocation lists; RFC 5280, 6.3.3",
    remedy: "AMD withdrew this authority: ask AMD for certificates of its successor, and trust nothing under it.",
};

/// What a report owes with which lists came, or of which they are demanded.
pub static REVOCATION_RULES: [&Rule; 3] = [&SNP_CRL, &SNP_CRL_NUMBER, &SNP_REVOKED];

/// The number of an authority's list (`cRLNumber`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlNumber {
    /// SHA-256 of the authority's key (`SubjectPublicKeyInfo`).
    pub authority: Digest,
    /// Big-endian, without leading zeros.
    pub number: Vec<u8>,
}

/// Revocation lists, and how much depends on them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Revocation<'r> {
    /// Lists, DER. Each has to be current, and of an authority on the way to the root.
    pub lists: &'r [&'r [u8]],
    /// Whether the root's list has to be there.
    pub demanded: bool,
    /// The greatest number seen of each authority's lists.
    pub seen: &'r [CrlNumber],
}

/// Appraises the lists, and what they say of the certificates under their authorities. The numbers of the lists, if every rule holds.
pub(super) fn appraise(chain: &Chain<'_, '_>, trust: &Trust<'_>, checks: &mut Checks) -> Option<Vec<CrlNumber>> {
    let revocation = &trust.revocation;
    if revocation.lists.is_empty() && !revocation.demanded {
        return Some(Vec::new());
    }
    checks.also_owing(&REVOCATION_RULES);
    let lists = chain.current(revocation.lists, trust.roots, trust.now);
    let of_the_root = |lists: &Vec<CurrentList<'_>>| lists.iter().any(|list| list.authority() == chain.path.anchor.key);
    let found = match &lists {
        Err(error) => error.clone(),
        Ok(lists) if revocation.demanded && !of_the_root(lists) => "no list of the root".to_owned(),
        Ok(lists) => format!("{} current", lists.len()),
    };
    let current = lists.as_ref().is_ok_and(|lists| !revocation.demanded || of_the_root(lists));
    let mut holds = checks.record(&SNP_CRL, current, "current lists of authorities on the way to the root", found);
    let lists = lists.ok()?;
    let older = lists.iter().find(|list| revocation.seen.iter().any(|seen| is_older(list, seen)));
    let found = older.map_or_else(|| "none".to_owned(), |list| list.number().map_or_else(|| "a list without number".into(), |it| hex(&it)));
    holds &= checks.record(&SNP_CRL_NUMBER, older.is_none(), "no list older than one seen before", found);
    let revoked = chain.revoked(&lists).into_iter().map(|one| one.subject().to_string()).collect::<Vec<_>>();
    let found = if revoked.is_empty() { "none".to_owned() } else { revoked.join(" and ") };
    holds &= checks.record(&SNP_REVOKED, revoked.is_empty(), "none", found);
    let numbers = lists.iter().filter_map(|list| Some(CrlNumber { authority: list.authority(), number: list.number()? }));
    holds.then(|| numbers.collect())
}

/// Whether `seen` is of the same authority, and later; a list without a number is earlier than any.
fn is_older(list: &CurrentList<'_>, seen: &CrlNumber) -> bool {
    let order = |number: &[u8]| (number.len(), number.to_vec());
    list.authority() == seen.authority && list.number().is_none_or(|number| order(&number) < order(&seen.number))
}
