//! The roots at which an EK certificate may end: each with the name and the kind that the configuration gives it.

use crate::claims::RootKind;
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

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

/// Why a root cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EkRootError {
    /// The certificate does not parse.
    #[error("root {name}: the bytes are no X.509 certificate in DER ({reason}); export it again from the maker's site")]
    Certificate {
        /// Configured name.
        name: String,
        /// What the parser said.
        reason: String,
    },
    /// The certificate limits the names under it, which path validation here does not carry out.
    #[error("root {name} has name constraints, which are not supported; configure the intermediate below it as the root")]
    NameConstraints {
        /// Configured name.
        name: String,
    },
    /// Two roots have one key: which name and kind would hold?
    #[error("roots {first} and {second} have the same key; keep one of them")]
    SameKey {
        /// Configured name.
        first: String,
        /// Configured name.
        second: String,
    },
}

/// A trust anchor (RFC 5280, 6.1.1 d): a name and a key. Configuring it says that it is trusted; its certificate's dates don't count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) name: String,
    pub(super) kind: RootKind,
    /// Distinguished name, DER.
    pub(super) subject: Vec<u8>,
    /// `SubjectPublicKeyInfo`, DER.
    pub(super) spki: Vec<u8>,
}

/// The configured roots.
#[derive(Debug, Clone, Default)]
pub struct EkRoots {
    anchors: Vec<Anchor>,
}

impl EkRoots {
    /// Reads the certificates of `roots`. Without any root no EK passes.
    ///
    /// # Errors
    /// [`EkRootError`] for the first root that does not parse, is constrained, or has the key of another.
    pub fn new(roots: Vec<EkRoot>) -> Result<Self, EkRootError> {
        let mut anchors = Vec::<Anchor>::with_capacity(roots.len());
        for root in roots {
            let anchor = Anchor::of(root)?;
            if let Some(first) = anchors.iter().find(|other| other.spki == anchor.spki) {
                return Err(EkRootError::SameKey { first: first.name.clone(), second: anchor.name });
            }
            anchors.push(anchor);
        }
        Ok(Self { anchors })
    }

    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// What would have passed, for the operator.
    pub(super) fn wanted(&self) -> String {
        match self.anchors.as_slice() {
            [] => "a path to a configured root (none is)".to_owned(),
            anchors => format!("a path to {}", anchors.iter().map(|anchor| anchor.name.as_str()).collect::<Vec<_>>().join(" or ")),
        }
    }
}

impl Anchor {
    fn of(root: EkRoot) -> Result<Self, EkRootError> {
        let refused = |reason: String| EkRootError::Certificate { name: root.name.clone(), reason };
        let (rest, parsed) = X509Certificate::from_der(&root.certificate).map_err(|error| refused(error.to_string()))?;
        if !rest.is_empty() {
            return Err(refused(format!("{} bytes follow it", rest.len())));
        }
        if !matches!(parsed.name_constraints(), Ok(None)) {
            return Err(EkRootError::NameConstraints { name: root.name });
        }
        let (subject, spki) = (parsed.subject().as_raw().to_vec(), parsed.public_key().raw.to_vec());
        Ok(Self { name: root.name, kind: root.kind, subject, spki })
    }
}
