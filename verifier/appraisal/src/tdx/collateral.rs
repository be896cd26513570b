//! Collateral: what Intel says about platforms, signed by Intel, with the lists of what it withdrew.
//!
//! [`Collateral`] depends on no quote but for its authorities, so it can be kept by the digest of its bytes and serve every quote of the same
//! kind of machine ([`super::KeptCollateral`]); [`super::appraise`] asks each time whether it is still in force.

use super::genuine::{GenuineQuote, PROFILE, verifies};
use super::pck::{Authority, has_extension, serial};
use super::qe_identity::QeIdentity;
use super::rules::{PCK_CRL, QE_IDENTITY_FORM, QE_IDENTITY_SIGNATURE, ROOT_CA_CRL, TCB_INFO_FORM, TCB_INFO_SIGNATURE, TCB_SIGNER};
use super::signed::{SignedJson, Window};
use super::tcb_info::TcbInfo;
use crate::check::{Checks, Rule};
use crate::x509::{Crl, EvidenceKind, Issuer, Roots, find_path};
use std::collections::BTreeSet;
use x509_parser::prelude::X509Certificate;

/// Collateral as it came.
#[derive(Debug, Clone, Copy)]
pub struct CollateralEvidence<'a> {
    /// TCB info.
    pub tcb_info: Option<SignedJson<'a>>,
    /// The quoting enclave's identity.
    pub qe_identity: Option<SignedJson<'a>>,
    /// Certificates, the TCB signing certificate and the root's among them.
    pub certificates: &'a [X509Certificate<'a>],
    /// Revocation lists, the one of the PCK's authority and the root's among them.
    pub crls: &'a [Crl<'a>],
}

/// One part of the collateral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// TCB info.
    TcbInfo,
    /// The quoting enclave's identity.
    QeIdentity,
    /// The certificate that TCB info and identity are signed under.
    TcbSigningChain,
    /// The list of the PCK's authority.
    PckCrl,
    /// The list of the root.
    RootCaCrl,
}

impl Part {
    /// Short and stable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TcbInfo => "tcb_info",
            Self::QeIdentity => "qe_identity",
            Self::TcbSigningChain => "tcb_signing_chain",
            Self::PckCrl => "pck_crl",
            Self::RootCaCrl => "root_ca_crl",
        }
    }

    /// What it is and what it is wanted for.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::TcbInfo => "TCB info (JSON) for the FMSPC of the PCK certificate: whether the platform is up to date",
            Self::QeIdentity => "the identity of the TD quoting enclave (JSON): whether that enclave may sign quotes",
            Self::TcbSigningChain => "the TCB signing certificate: whether TCB info and QE identity are Intel's",
            Self::PckCrl => "the revocation list of the authority that issued the PCK certificate",
            Self::RootCaCrl => "the revocation list of the root",
        }
    }
}

/// A revocation list whose signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revoked {
    pub(super) window: Option<Window>,
    pub(super) number: Option<Vec<u8>>,
    serials: BTreeSet<Vec<u8>>,
}

impl Revoked {
    pub(super) fn lists(&self, serial: &[u8]) -> bool {
        self.serials.contains(serial)
    }
}

/// Collateral whose signatures held; made only by [`Collateral::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collateral {
    pub(super) tcb_info: TcbInfo,
    pub(super) qe_identity: QeIdentity,
    pub(super) pck_crl: Revoked,
    pub(super) root_ca_crl: Revoked,
    /// Serial numbers of the TCB signing certificates.
    pub(super) signers: Vec<Vec<u8>>,
    /// When these are valid, and all above them that came along.
    pub(super) signers_valid: Window,
    pub(super) issuer: Authority,
    pub(super) root: Authority,
}

impl<'a> CollateralEvidence<'a> {
    /// What is not there, and is needed to say what `quote` is worth.
    #[must_use]
    pub fn missing(&self, quote: &GenuineQuote) -> Vec<Part> {
        let list_of = |authority: &Authority| self.crls.iter().any(|crl| crl.is_of(authority.issuer()));
        let there = [
            (Part::TcbInfo, self.tcb_info.is_some()),
            (Part::QeIdentity, self.qe_identity.is_some()),
            (Part::TcbSigningChain, self.candidates().next().is_some()),
            (Part::PckCrl, list_of(&quote.issuer)),
            (Part::RootCaCrl, list_of(&quote.root)),
        ];
        there.into_iter().filter(|(_, there)| !there).map(|(part, _)| part).collect()
    }

    /// Certificates that could be the TCB signer's: no authority's, and no platform's, whose key signs other things.
    fn candidates(&self) -> impl Iterator<Item = &'a X509Certificate<'a>> {
        self.certificates.iter().filter(|certificate| !certificate.is_ca() && !has_extension(certificate))
    }
}

impl Collateral {
    /// Verifies the signatures of collateral for `quote`. Records each of [`super::rules::COLLATERAL_RULES`] whose part is there; with a part
    /// missing ([`CollateralEvidence::missing`]) there is no collateral.
    pub fn verify(evidence: &CollateralEvidence<'_>, quote: &GenuineQuote, roots: &Roots, now: u64, checks: &mut Checks) -> Option<Self> {
        let pck_crl = revoked(&PCK_CRL, evidence.crls, &quote.issuer, checks);
        let root_ca_crl = revoked(&ROOT_CA_CRL, evidence.crls, &quote.root, checks);
        let (signers, signers_valid) = signers(evidence, quote, roots, now, checks)?;
        let tcb_info = evidence.tcb_info.and_then(|json| {
            verified(&json, &signers, "TCB info", &TCB_INFO_SIGNATURE, checks)?;
            read(TcbInfo::parse(json.bytes), "TCB info of version 3 for TDX", &TCB_INFO_FORM, checks)
        });
        let qe_identity = evidence.qe_identity.and_then(|json| {
            verified(&json, &signers, "QE identity", &QE_IDENTITY_SIGNATURE, checks)?;
            read(QeIdentity::parse(json.bytes), "identity TD_QE of version 2", &QE_IDENTITY_FORM, checks)
        });
        Some(Self {
            tcb_info: tcb_info?,
            qe_identity: qe_identity?,
            pck_crl: pck_crl?,
            root_ca_crl: root_ca_crl?,
            signers: signers.iter().map(|signer| serial(signer)).collect(),
            signers_valid,
            issuer: quote.issuer.clone(),
            root: quote.root.clone(),
        })
    }

    /// The time in which all of it is in force; `None` where a list has no end.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        let signed = self.tcb_info.window.and(self.qe_identity.window);
        Some(signed.and(self.pck_crl.window?).and(self.root_ca_crl.window?))
    }

    /// `tcbEvaluationDataNumber` of the TCB info: a later one has a greater number.
    #[must_use]
    pub fn evaluation_number(&self) -> u32 {
        self.tcb_info.evaluation
    }
}

/// Every list of `authority`, as one; the oldest counts. `None` without any.
fn revoked(rule: &'static Rule, crls: &[Crl<'_>], authority: &Authority, checks: &mut Checks) -> Option<Revoked> {
    let mut lists = crls.iter().filter(|crl| crl.is_of(authority.issuer())).peekable();
    lists.peek()?;
    let lists = lists.collect::<Vec<_>>();
    let refused = lists.iter().find_map(|crl| crl.verify_signature(authority.issuer()).err());
    let found = refused.as_ref().map_or_else(|| format!("{} of its lists", lists.len()), ToString::to_string);
    let holds = checks.record(rule, refused.is_none(), "a list that the authority signed", found);
    let window = |crl: &Crl<'_>| crl.window().map(|(from, until)| Window { from, until });
    holds.then(|| Revoked {
        window: lists.iter().map(|crl| window(crl)).reduce(|one, other| Some(one?.and(other?))).flatten(),
        number: lists
            .iter()
            .map(|crl| crl.number())
            .min_by_key(|number| number.as_ref().map(|bytes| (bytes.len(), bytes.clone())))
            .flatten(),
        serials: lists.iter().flat_map(|crl| crl.serials().map(<[u8]>::to_vec)).collect(),
    })
}

/// The candidates that the quote's own root certified, itself and nobody between: its other authorities speak for platforms only.
fn signers<'a>(
    evidence: &CollateralEvidence<'a>,
    quote: &GenuineQuote,
    roots: &Roots,
    now: u64,
    checks: &mut Checks,
) -> Option<(Vec<&'a X509Certificate<'a>>, Window)> {
    let anchors = roots.for_kind(EvidenceKind::Tdx).filter(|anchor| anchor.key == quote.anchor_key);
    let (mut signers, mut valid) = (Vec::new(), Window { from: 0, until: u64::MAX });
    let mut found = None;
    for candidate in evidence.candidates() {
        let others = evidence.certificates.iter().filter(|other| *other != candidate).cloned().collect::<Vec<_>>();
        match find_path(candidate, &others, anchors.clone(), &PROFILE, now) {
            Ok(path) => {
                let issuer = path.issuers.first().and_then(|place| others.get(*place)).map_or(quote.root.issuer(), Issuer::from);
                match issuer == quote.root.issuer() {
                    true if !signs(candidate) => found = Some(format!("{}, whose key usage is no digital signature", candidate.subject())),
                    true => {
                        let (from, until) = path.valid(candidate, &others).into_inner();
                        valid = valid.and(Window { from, until });
                        signers.push(candidate);
                    }
                    false => found = Some(format!("{}, which another authority issued", candidate.subject())),
                }
            }
            Err(error) => found = Some(error.to_string()),
        }
    }
    let found = match signers.first() {
        Some(signer) => signer.subject().to_string(),
        None => found?,
    };
    let expected = format!("a certificate that {} issued itself", quote.anchor.0);
    checks.record(&TCB_SIGNER, !signers.is_empty(), expected, found).then_some((signers, valid))
}

/// Intel's TCB signing certificate is for digital signatures, and so marked.
fn signs(certificate: &X509Certificate<'_>) -> bool {
    certificate.key_usage().is_ok_and(|usage| usage.is_some_and(|usage| usage.value.digital_signature()))
}

fn verified(
    json: &SignedJson<'_>,
    signers: &[&X509Certificate<'_>],
    what: &'static str,
    rule: &'static Rule,
    checks: &mut Checks,
) -> Option<()> {
    let holds = signers.iter().any(|signer| verifies(signer.public_key().raw, json.bytes, &json.signature));
    let found = format!("{what}, {} bytes, {}", json.bytes.len(), if holds { "signed" } else { "not signed by it" });
    checks.record(rule, holds, "a signature by the TCB signing key", found).then_some(())
}

fn read<T>(parsed: Result<T, String>, wanted: &'static str, rule: &'static Rule, checks: &mut Checks) -> Option<T> {
    let found = parsed.as_ref().map_or_else(Clone::clone, |_| wanted.to_owned());
    checks.record(rule, parsed.is_ok(), wanted, found);
    parsed.ok()
}
