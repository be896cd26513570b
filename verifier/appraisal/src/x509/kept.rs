//! Paths that were found before: a chain is the same for a machine's whole life, and its signatures cost more than the evidence's own.

use super::path::{Path, Profile};
use super::roots::{Anchor, EvidenceKind};
use podseal_protocol::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::X509Certificate;

/// Paths kept: one for each machine and TCB version. And signatures, of which there are fewer.
const MOST: usize = 4096;

/// What of a path does not depend on who holds the roots.
#[derive(Debug, Clone)]
struct Kept {
    anchor: Digest,
    issuers: Vec<usize>,
    /// When every certificate of it is valid, in seconds since the Unix epoch.
    valid: RangeInclusive<u64>,
}

/// Paths under one set of roots, by the digest of every certificate that was there to find them.
#[derive(Debug, Default)]
pub(super) struct KeptPaths {
    paths: Mutex<BTreeMap<Digest, Kept>>,
}

impl Clone for KeptPaths {
    /// Roots are cloned to be changed: what was found under the old ones says nothing.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl KeptPaths {
    /// The path that was found before under `key`, if all of it is valid `now`.
    pub(super) fn get<'r>(&self, key: &Digest, mut anchors: impl Iterator<Item = &'r Anchor>, now: u64) -> Option<Path<'r>> {
        let kept = self.paths.lock().unwrap_or_else(PoisonError::into_inner).get(key).filter(|kept| kept.valid.contains(&now)).cloned()?;
        anchors.find(|anchor| anchor.key == kept.anchor).map(|anchor| Path { anchor, issuers: kept.issuers })
    }

    /// Keeps a path; where there are too many, none of the others stays.
    pub(super) fn keep(&self, key: Digest, path: &Path<'_>, leaf: &X509Certificate<'_>, others: &[X509Certificate<'_>]) {
        let kept = Kept { anchor: path.anchor.key, issuers: path.issuers.clone(), valid: path.valid(leaf, others) };
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= MOST {
            paths.clear();
        }
        paths.insert(key, kept);
    }
}

/// Signatures that held before. Whether one does depends on nothing but key, signed bytes and signature, so it holds for ever; whether
/// what is signed still counts is asked each time.
#[derive(Debug, Default)]
pub(super) struct KeptSignatures {
    held: Mutex<BTreeSet<Digest>>,
}

impl Clone for KeptSignatures {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl KeptSignatures {
    /// Whether the key `spki` signed `object` (with its signature inside), which `verify` says where nobody asked before. Refusals are not
    /// kept: they cost whoever sends them as much as before.
    pub(super) fn holds(&self, spki: &[u8], object: &[u8], verify: impl FnOnce() -> bool) -> bool {
        let key = Digest::of(&[Digest::of(spki).0, Digest::of(object).0].concat());
        if self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return true;
        }
        let holds = verify();
        if holds {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.len() >= MOST {
                held.clear();
            }
            held.insert(key);
        }
        holds
    }
}

/// Names what a path was looked for with: kind of evidence, profile, leaf, others in their order.
pub(super) fn key(evidence: EvidenceKind, profile: &Profile, leaf: &X509Certificate<'_>, others: &[X509Certificate<'_>]) -> Digest {
    let of_all = |digests: Vec<Digest>| Digest::of(&digests.iter().map(|digest| digest.0).collect::<Vec<_>>().concat());
    let oids = |oids: &[Oid<'_>]| of_all(oids.iter().map(|oid| Digest::of(oid.as_bytes())).collect());
    let usage = oids(profile.usage.map_or(&[], std::slice::from_ref));
    let sought = [Digest::of(evidence.as_str().as_bytes()), Digest::of(profile.purpose.as_bytes()), usage, oids(profile.processed)];
    let certificates = [leaf].into_iter().chain(others).map(|one| Digest::of(one.as_raw()));
    of_all(sought.into_iter().chain(certificates).collect())
}
