//! The roots at which an EK certificate may end: each with the name and the kind that the configuration gives it.

use super::PROFILE;
use crate::claims::RootKind;
use crate::x509::{Anchor, EvidenceKind, Path, PathError, RootError, Roots};
use x509_parser::prelude::X509Certificate;

/// One root as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkRoot {
    /// Name in receipts, `explain` and the registry.
    pub name: String,
    /// The most that it can vouch for.
    pub kind: RootKind,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// The configured roots.
#[derive(Debug, Clone, Default)]
pub struct EkRoots {
    roots: Roots,
}

impl EkRoots {
    /// Reads the certificates of `roots`. Without any root no EK passes.
    ///
    /// # Errors
    /// [`RootError`] for the first root that does not parse, is constrained, or has the key of another.
    pub fn new(roots: Vec<EkRoot>) -> Result<Self, RootError> {
        let anchors = roots.into_iter().map(|root| Anchor::of_certificate(root.name, root.kind, &root.certificate));
        Ok(Self { roots: Roots::new(anchors.collect::<Result<_, _>>()?)? })
    }

    pub(super) fn path(&self, leaf: &X509Certificate<'_>, others: &[X509Certificate<'_>], now: u64) -> Result<Path<'_>, PathError> {
        self.roots.path(EvidenceKind::Tpm, leaf, others, &PROFILE, now)
    }

    /// What would have passed, for the operator.
    pub(super) fn wanted(&self) -> String {
        self.roots.wanted(EvidenceKind::Tpm)
    }
}
