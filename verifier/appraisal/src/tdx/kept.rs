//! Collateral that was verified before: it is the same for every machine of a kind until Intel signs another.

use super::collateral::{Collateral, CollateralEvidence, Part};
use super::genuine::GenuineQuote;
use super::signed::{CollateralError, SignedJson};
use crate::check::Checks;
use crate::x509::{Anchor, Crl, CrlError, EvidenceKind, Roots, parse};
use podseal_protocol::Digest;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// Collateral kept: one for each kind of machine, and some that is older or newer.
const MOST: usize = 256;

/// Collateral as it came, not parsed.
#[derive(Debug, Clone, Copy)]
pub struct CollateralBytes<'a> {
    /// TCB info, as Intel's service answers it.
    pub tcb_info: &'a [u8],
    /// The quoting enclave's identity, as Intel's service answers it.
    pub qe_identity: &'a [u8],
    /// Certificates, DER: the TCB signing certificate's chain.
    pub certificates: &'a [&'a [u8]],
    /// Revocation lists, DER: the one of the PCK's authority, and the root's.
    pub crls: &'a [&'a [u8]],
}

/// Why there is no collateral.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoCollateral {
    /// TCB info or QE identity is none.
    #[error(transparent)]
    Json(#[from] CollateralError),
    /// A revocation list is none.
    #[error(transparent)]
    List(#[from] CrlError),
    /// A certificate is none.
    #[error("a certificate of the collateral is no X.509 certificate in DER; fetch the collateral again")]
    Certificate,
    /// Parts are not there.
    #[error("the collateral lacks {}; fetch it for the platform of this quote", .0.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", "))]
    Lacks(Vec<Part>),
    /// A signature, or what is signed, does not hold: the checks have it.
    #[error("the collateral does not hold; the checks say what of it")]
    Failed,
}

#[derive(Debug)]
struct Kept {
    collateral: Arc<Collateral>,
    /// What was recorded when it was verified.
    checks: Checks,
    /// The root at the end of its paths.
    anchor: Anchor,
}

/// Verified collateral by the digest of all that it was verified from.
///
/// Only what depends on nothing else is kept: whether it is in force, is for the quote's kind of machine and reaches the floors,
/// [`super::appraise`] says each time, and whether certificates are still valid and their root still trusted is asked here each time.
#[derive(Debug, Default)]
pub struct KeptCollateral {
    kept: Mutex<BTreeMap<Digest, Kept>>,
}

impl KeptCollateral {
    /// Verifies collateral for `quote` at `now` (seconds since the Unix epoch) and records the rules of [`Collateral::verify`], also where it
    /// was verified before.
    ///
    /// # Errors
    /// [`NoCollateral`].
    pub fn verify(
        &self,
        came: &CollateralBytes<'_>,
        quote: &GenuineQuote,
        roots: &Roots,
        now: u64,
        checks: &mut Checks,
    ) -> Result<Arc<Collateral>, NoCollateral> {
        let key = key(came, quote);
        if let Some((collateral, recorded)) = self.get(&key, roots, now) {
            checks.absorb(recorded);
            return Ok(collateral);
        }
        let mut recorded = Checks::owing(&[]);
        let verified = verify(came, quote, roots, now, &mut recorded);
        checks.absorb(recorded.clone());
        let collateral = Arc::new(verified?);
        let anchor = roots.for_kind(EvidenceKind::Tdx).find(|anchor| anchor.key == quote.anchor_key);
        if let Some(anchor) = anchor {
            self.keep(key, Kept { collateral: Arc::clone(&collateral), checks: recorded, anchor: anchor.clone() });
        }
        Ok(collateral)
    }

    fn get(&self, key: &Digest, roots: &Roots, now: u64) -> Option<(Arc<Collateral>, Checks)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(key).filter(|kept| kept.collateral.signers_valid.contains(now))?;
        let trusted = roots.for_kind(EvidenceKind::Tdx).any(|anchor| *anchor == found.anchor);
        trusted.then(|| (Arc::clone(&found.collateral), found.checks.clone()))
    }

    /// Where there is too much, nothing else stays.
    fn keep(&self, key: Digest, one: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, one);
    }
}

fn verify(
    came: &CollateralBytes<'_>,
    quote: &GenuineQuote,
    roots: &Roots,
    now: u64,
    checks: &mut Checks,
) -> Result<Collateral, NoCollateral> {
    let certificates = came.certificates.iter().map(|der| parse(der)).collect::<Option<Vec<_>>>().ok_or(NoCollateral::Certificate)?;
    let crls = came.crls.iter().map(|der| Crl::parse(der)).collect::<Result<Vec<_>, _>>()?;
    let evidence = CollateralEvidence {
        tcb_info: Some(SignedJson::tcb_info(came.tcb_info)?),
        qe_identity: Some(SignedJson::qe_identity(came.qe_identity)?),
        certificates: &certificates,
        crls: &crls,
    };
    let missing = evidence.missing(quote);
    podseal_protocol::require(missing.is_empty(), NoCollateral::Lacks(missing))?;
    Collateral::verify(&evidence, quote, roots, now, checks).ok_or(NoCollateral::Failed)
}

/// Names all that decides: each part, how many there are of each sort, the quote's authorities and its root.
fn key(came: &CollateralBytes<'_>, quote: &GenuineQuote) -> Digest {
    let number = |all: &[&[u8]]| Digest::of(&all.len().to_be_bytes());
    let mut digests = vec![Digest::of(came.tcb_info), Digest::of(came.qe_identity), number(came.certificates), number(came.crls)];
    digests.extend(came.certificates.iter().chain(came.crls).map(|der| Digest::of(der)));
    for authority in [&quote.issuer, &quote.root] {
        digests.extend([Digest::of(&authority.name), Digest::of(&authority.key)]);
    }
    digests.push(quote.anchor_key);
    Digest::of(&digests.iter().map(|digest| digest.0).collect::<Vec<_>>().concat())
}
