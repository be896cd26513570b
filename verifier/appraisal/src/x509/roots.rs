//! Roots: whom somebody decided to believe, for which evidence, and how far.

use super::crl::{Crl, CrlError, Issuer};
use super::kept::{self, KeptPaths, KeptSignatures};
use super::path::{Path, PathError, Profile, find_path, parse};
use super::pem::{self, PemError};
use crate::claims::RootKind;
use podseal_protocol::Digest;
use serde::Deserialize;
use thiserror::Error;
use x509_parser::prelude::X509Certificate;

/// The maker's PKI that a root stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// AMD SEV-SNP reports.
    Snp,
    /// Intel TDX quotes and their collateral.
    Tdx,
    /// AWS Nitro enclaves' documents, and `NitroTPM`'s.
    Nitro,
    /// TPM makers' endorsement keys, and the attestation keys that clouds certify.
    Tpm,
}

impl EvidenceKind {
    /// The word in root files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snp => "snp",
            Self::Tdx => "tdx",
            Self::Nitro => "nitro",
            Self::Tpm => "tpm",
        }
    }
}

/// A trust anchor (RFC 5280, 6.1.1 d). Configuring it says that it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Name in receipts, `explain` and reports.
    pub name: String,
    /// The most that it can vouch for.
    pub kind: RootKind,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub key: Digest,
    /// What it vouches for; everything that fits where empty.
    evidence: Vec<EvidenceKind>,
    certified: Option<Certified>,
}

/// Name and key out of the root's certificate, and the certificate; its dates don't count, since whoever configures the certificate trusts the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certified {
    /// Distinguished name, DER.
    pub(super) subject: Vec<u8>,
    /// `SubjectPublicKeyInfo`, DER.
    pub(super) spki: Vec<u8>,
    /// The certificate, DER.
    pub(super) der: Vec<u8>,
}

/// Why a root cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RootError {
    /// The certificate does not parse.
    #[error("root {name}: the bytes are no X.509 certificate in DER; export it again from the maker's site")]
    Certificate {
        /// Configured name.
        name: String,
    },
    /// The certificate limits the names under it, which path validation here does not carry out.
    #[error("root {name} has name constraints, which are not supported; configure the intermediate below it as the root")]
    NameConstraints {
        /// Configured name.
        name: String,
    },
    /// The file does not say what a root file says.
    #[error("root {name}: {reason}; see policies/roots for the form")]
    File {
        /// Name of the file.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A folder without any.
    #[error("found no root in the folder, wanted files of the form of policies/roots, or certificates in PEM or DER")]
    None,
    /// Two roots have one key: which name and kind would hold?
    #[error("roots {first} and {second} have the same key; keep one of them")]
    SameKey {
        /// Configured name.
        first: String,
        /// Configured name.
        second: String,
    },
}

impl Anchor {
    /// A root given as its certificate (DER), for everything that it fits.
    ///
    /// # Errors
    /// [`RootError::Certificate`], [`RootError::NameConstraints`].
    pub fn of_certificate(name: String, kind: RootKind, certificate: &[u8]) -> Result<Self, RootError> {
        let Some(parsed) = parse(certificate) else { return Err(RootError::Certificate { name }) };
        if !matches!(parsed.name_constraints(), Ok(None)) {
            return Err(RootError::NameConstraints { name });
        }
        let (subject, spki) = (parsed.subject().as_raw().to_vec(), parsed.public_key().raw.to_vec());
        Ok(Self {
            name,
            kind,
            key: Digest::of(&spki),
            evidence: Vec::new(),
            certified: Some(Certified { subject, spki, der: certificate.to_vec() }),
        })
    }

    pub(super) fn certified(&self) -> Option<&Certified> {
        self.certified.as_ref()
    }

    /// Name and key out of the root's certificate; `None` where it is pinned by its key alone, so that its certificate has to come along.
    #[must_use]
    pub fn issuer(&self) -> Option<Issuer<'_>> {
        self.certified.as_ref().map(|certified| Issuer { name: &certified.subject, key: &certified.spki })
    }

    /// Whether it is a root: no other authority issued its certificate.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.certified
            .as_ref()
            .is_none_or(|certified| parse(&certified.der).is_some_and(|own| own.subject().as_raw() == own.issuer().as_raw()))
    }

    fn fits(&self, evidence: EvidenceKind) -> bool {
        self.evidence.is_empty() || self.evidence.contains(&evidence)
    }
}

/// The files of `policies/roots`.
const SHIPPED: &[(&str, &str)] = &[
    ("amd-sev.toml", include_str!("../../../../policies/roots/amd-sev.toml")),
    ("aws-nitro.toml", include_str!("../../../../policies/roots/aws-nitro.toml")),
    ("intel-sgx.toml", include_str!("../../../../policies/roots/intel-sgx.toml")),
    ("tpm-amd.toml", include_str!("../../../../policies/roots/tpm-amd.toml")),
    ("tpm-google.toml", include_str!("../../../../policies/roots/tpm-google.toml")),
    ("tpm-infineon.toml", include_str!("../../../../policies/roots/tpm-infineon.toml")),
    ("tpm-intel.toml", include_str!("../../../../policies/roots/tpm-intel.toml")),
    ("tpm-microsoft.toml", include_str!("../../../../policies/roots/tpm-microsoft.toml")),
    ("tpm-nsing.toml", include_str!("../../../../policies/roots/tpm-nsing.toml")),
    ("tpm-nuvoton.toml", include_str!("../../../../policies/roots/tpm-nuvoton.toml")),
    ("tpm-stmicro.toml", include_str!("../../../../policies/roots/tpm-stmicro.toml")),
];

/// The roots in force.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    anchors: Vec<Anchor>,
    kept: KeptPaths,
    signatures: KeptSignatures,
}

impl Roots {
    /// The roots of hardware makers that come with the program: `policies/roots` as it was when this was built.
    #[must_use]
    pub fn shipped() -> Self {
        let files = SHIPPED.iter().flat_map(|(name, toml)| Self::of_file(name, toml).unwrap_or_default());
        Self::new(files.collect()).unwrap_or_default()
    }

    /// The files of [`Roots::shipped`], name and contents, as [`Roots::of_folder`] reads them.
    #[must_use]
    pub fn shipped_files() -> Vec<(String, Vec<u8>)> {
        SHIPPED.iter().map(|(name, toml)| ((*name).to_owned(), toml.as_bytes().to_vec())).collect()
    }

    /// The roots of a folder: files of the form of `policies/roots` (`*.toml`), and certificates in PEM or DER, which count as test roots for
    /// everything that they fit. Other files are none.
    ///
    /// # Errors
    /// [`RootError`] for the first file that is not what its name says.
    pub fn of_folder(files: &[(String, Vec<u8>)]) -> Result<Self, RootError> {
        let mut anchors = Vec::new();
        for (name, bytes) in files {
            let text = String::from_utf8_lossy(bytes);
            if parse(bytes).is_some() {
                anchors.push(Anchor::of_certificate(name.clone(), RootKind::Test, bytes)?);
            } else if name.to_ascii_lowercase().ends_with(".toml") {
                anchors.extend(Self::of_file(name, &text)?);
            } else if text.contains("-----BEGIN CERTIFICATE-----") {
                let refused = |error: PemError| RootError::File { name: name.clone(), reason: error.to_string() };
                for (_, der) in pem::blocks(&text).map_err(refused)?.into_iter().filter(|(label, _)| *label == "CERTIFICATE") {
                    let anchor = Anchor::of_certificate(name.clone(), RootKind::Test, &der)?;
                    // The same root in two files is one.
                    if anchors.iter().all(|other: &Anchor| other.key != anchor.key) {
                        anchors.push(anchor);
                    }
                }
            }
        }
        if anchors.is_empty() {
            return Err(RootError::None);
        }
        Self::new(anchors)
    }

    /// The anchors that a file of the form of `policies/roots` names: keys by their digest, what each is for, and how far it is believed.
    ///
    /// # Errors
    /// [`RootError::File`].
    pub fn of_file(name: &str, toml: &str) -> Result<Vec<Anchor>, RootError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            root: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Entry {
            name: String,
            evidence: Vec<EvidenceKind>,
            kind: String,
            key_sha256: String,
        }
        let refused = |reason: String| RootError::File { name: name.to_owned(), reason };
        let file: File = toml::from_str(toml).map_err(|error| refused(error.message().to_owned()))?;
        let anchor = |root: Entry| {
            let key = Digest::from_hex(&root.key_sha256).ok_or_else(|| refused("key_sha256 is not 64 hexadecimal digits".to_owned()))?;
            let kind = RootKind::parse(&root.kind).ok_or_else(|| refused("kind is neither production nor test".to_owned()))?;
            if root.evidence.is_empty() {
                return Err(refused("evidence is empty".to_owned()));
            }
            Ok(Anchor { name: root.name, kind, key, evidence: root.evidence, certified: None })
        };
        file.root.into_iter().map(anchor).collect()
    }

    /// These roots and no others. Without any, nothing passes.
    ///
    /// # Errors
    /// [`RootError::SameKey`].
    pub fn new(anchors: Vec<Anchor>) -> Result<Self, RootError> {
        for (place, anchor) in anchors.iter().enumerate() {
            if let Some(first) = anchors.iter().take(place).find(|other| other.key == anchor.key) {
                return Err(RootError::SameKey { first: first.name.clone(), second: anchor.name.clone() });
            }
        }
        Ok(Self { anchors, kept: KeptPaths::default(), signatures: KeptSignatures::default() })
    }

    /// The roots that vouch for this kind of evidence.
    pub fn for_kind(&self, evidence: EvidenceKind) -> impl Iterator<Item = &Anchor> + Clone {
        self.anchors.iter().filter(move |anchor| anchor.fits(evidence))
    }

    /// The path from `leaf` to one of the roots for `evidence`, as [`find_path`] has it; one that was found before under the same
    /// certificates is not looked for again.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn path(
        &self,
        evidence: EvidenceKind,
        leaf: &X509Certificate<'_>,
        others: &[X509Certificate<'_>],
        profile: &Profile,
        now: u64,
    ) -> Result<Path<'_>, PathError> {
        let key = kept::key(evidence, profile, leaf, others);
        if let Some(path) = self.kept.get(&key, self.for_kind(evidence), now) {
            return Ok(path);
        }
        let path = find_path(leaf, others, self.for_kind(evidence), profile, now)?;
        self.kept.keep(key, &path, leaf, others);
        Ok(path)
    }

    /// Whether the key of `authority` signed `list`, and it is current at `now`, as [`Crl::verify`] has it; a signature that held before is not
    /// verified again.
    ///
    /// # Errors
    /// [`CrlError::Signature`], [`CrlError::CriticalExtension`], [`CrlError::Validity`].
    pub fn verify_list(&self, list: &Crl<'_>, authority: Issuer<'_>, now: u64) -> Result<(), CrlError> {
        let signed = || self.signatures.holds(authority.key, list.der(), || list.verify_signature(authority).is_ok());
        if !(list.is_of(authority) && signed()) {
            // Signed or not, a list that is not to be used says so itself.
            return list.verify_extensions().and(Err(CrlError::Signature { issuer: list.issuer() }));
        }
        list.verify_current(now)
    }

    /// What would pass for this kind, for the operator.
    #[must_use]
    pub fn wanted(&self, evidence: EvidenceKind) -> String {
        match self.for_kind(evidence).map(|anchor| anchor.name.as_str()).collect::<Vec<_>>().as_slice() {
            [] => "a path to a configured root (none is)".to_owned(),
            names => format!("a path to {}", names.join(" or ")),
        }
    }
}
