//! Certificates above an anchor: whoever configures an intermediate's certificate as a root needs none of them, and they may come along.

use super::path::{is_signed, parse};
use super::roots::Anchor;
use x509_parser::prelude::X509Certificate;

/// Certificates on the way from an intermediate up to its own root, at most.
const HIGHEST: usize = 4;

/// Places among `others` of the certificates on the way up from `anchor`: its own as it was configured, byte for byte, whoever issued that
/// one, and so on; an authority that stands higher last. None where the anchor is pinned by its key alone: it is a root then.
///
/// They say nothing about the evidence, and dates don't count. One whose own issuer is there, but did not sign it, is altered, and none of
/// these.
#[must_use]
pub fn above(anchor: &Anchor, others: &[X509Certificate<'_>]) -> Vec<usize> {
    let Some(mut below) = anchor.certified().and_then(|certified| parse(&certified.der)) else { return Vec::new() };
    let own = |other: &X509Certificate<'_>| anchor.certified().is_some_and(|certified| certified.der == other.as_raw());
    let mut places = (0..).zip(others).filter(|(_, other)| own(other)).map(|(place, _)| place).collect::<Vec<_>>();
    for _ in 0..HIGHEST {
        let issued = |other: &X509Certificate<'_>| {
            other.subject().as_raw() == below.issuer().as_raw()
                && is_signed(&below, other.public_key().raw)
                && is_vouched_for(other, others)
        };
        let Some(place) = others.iter().position(issued).filter(|place| !places.contains(place)) else { break };
        places.push(place);
        let Some(issuer) = others.get(place) else { break };
        below = issuer.clone();
    }
    places
}

/// Whether its issuer signed it, as far as that one came along.
fn is_vouched_for(certificate: &X509Certificate<'_>, others: &[X509Certificate<'_>]) -> bool {
    let mut issuers = others.iter().filter(|other| other.subject().as_raw() == certificate.issuer().as_raw()).peekable();
    issuers.peek().is_none() || issuers.any(|issuer| is_signed(certificate, issuer.public_key().raw))
}
