//! Whether a report is what it says: from its signature up to a root, and back to the chip, the TCB and what was asked for.

use super::report::{Body, Report};
use super::revocation::{self, CrlNumber, Revocation};
use super::rules::{
    FRESHNESS_RULES, PRODUCT_RULES, SNP_AUTHORITY, SNP_CHAIN, SNP_CHIP_ID, SNP_PRODUCT, SNP_REPORT_DATA, SNP_RESERVED, SNP_SIGNATURE,
    SNP_SIGNING_KEY, SNP_TCB, SNP_VEK, SNP_VERSION,
};
use super::tcb::{Product, Tcb};
use super::vek::{Vek, VekKind, choose};
use super::words::SigningKey;
use crate::check::Checks;
use crate::claims::RootKind;
use crate::hex::encode as hex;
use crate::x509::{Chain, EvidenceKind, PathError, Profile, Roots, common_name};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use podseal_protocol::Digest;
use x509_parser::prelude::X509Certificate;

const PROFILE: Profile = Profile { purpose: "the key of SEV-SNP reports", usage: None, processed: &[] };

/// How AMD's authorities over VLEKs are called, and no others.
const ASVK: &str = "SEV-VLEK-";

/// A report with what came along.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'e> {
    /// The report.
    pub report: &'e Report<'e>,
    /// Certificates in any order, and more than are needed if need be: that of the VCEK or VLEK, ASK or ASVK, ARK.
    pub certificates: &'e [X509Certificate<'e>],
    /// What the report has to answer, where that is known; zeros fill up `REPORT_DATA` behind what is shorter.
    pub report_data: Option<&'e [u8]>,
}

/// What appraisal goes by, and the evidence has no say in.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'r> {
    /// The roots.
    pub roots: &'r Roots,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// Revocation lists, and whether there have to be any.
    pub revocation: Revocation<'r>,
}

/// A certificate that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The chip key's.
    Vcek,
    /// The cloud provider key's.
    Vlek,
    /// That of the authority over VCEKs.
    Ask,
    /// That of the authority over VLEKs.
    Asvk,
    /// The root's.
    Ark,
}

impl Part {
    /// What AMD calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
            Self::Ask => "ASK",
            Self::Asvk => "ASVK",
            Self::Ark => "ARK",
        }
    }
}

/// Why there are no facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// A step does not hold.
    Failed,
    /// Each step holds that could be carried out; the others need this.
    Lacks(Part),
}

/// Facts of a report; made only by [`appraise_report`], only after every rule held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub(super) body: Body,
    pub(super) vek: Vek,
    pub(super) signers: Vec<Digest>,
    root: (String, RootKind),
    crl_numbers: Vec<CrlNumber>,
}

impl Facts {
    /// What the report says.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// What the certificate of its key says.
    #[must_use]
    pub fn vek(&self) -> &Vek {
        &self.vek
    }

    /// The processor's generation.
    #[must_use]
    pub fn product(&self) -> Product {
        self.vek.product
    }

    /// A TCB version of [`Facts::body`].
    #[must_use]
    pub fn tcb(&self, bytes: [u8; 8]) -> Tcb {
        self.body.tcb(bytes, Some(self.vek.product))
    }

    /// The chip, 64 bytes or on Turin 8: whose key signed, or else whom the report names. `None` where a VLEK hides it.
    #[must_use]
    pub fn chip(&self) -> Option<&[u8]> {
        match &self.vek.kind {
            VekKind::Vcek { hwid } => Some(hwid),
            VekKind::Vlek { .. } if self.body.chip_id == [0; 64] => None,
            VekKind::Vlek { .. } => self.body.chip_id.get(..self.vek.product.chip_id_length()),
        }
    }

    /// SHA-256 of each key (`SubjectPublicKeyInfo`) from the signing one to the root's.
    #[must_use]
    pub fn signers(&self) -> &[Digest] {
        &self.signers
    }

    /// The root at which the certificates end, and the most that it vouches for.
    #[must_use]
    pub fn root(&self) -> (&str, RootKind) {
        (&self.root.0, self.root.1)
    }

    /// The number of each revocation list that counted: the next appraisal accepts none below it.
    #[must_use]
    pub fn crl_numbers(&self) -> &[CrlNumber] {
        &self.crl_numbers
    }
}

/// Appraises a report up to a root.
///
/// Records each of [`super::RULES`], and of [`PRODUCT_RULES`], [`FRESHNESS_RULES`] and [`super::REVOCATION_RULES`] where they are due. A step
/// that rests on one that failed, or on a certificate that is not there, is not carried out and stays owed.
///
/// # Errors
/// [`Unproven`].
pub fn appraise_report(evidence: &Evidence<'_>, trust: &Trust<'_>, checks: &mut Checks) -> Result<Facts, Unproven> {
    let (report, body) = (evidence.report, &evidence.report.body);
    let mut holds = checks.record(&SNP_VERSION, body.version >= 2, "2 to 5", body.version.to_string());
    let found = if report.reserved_zero { "zero" } else { "another value" };
    holds &= checks.record(&SNP_RESERVED, report.reserved_zero, "zero", found);
    if let Some(wanted) = evidence.report_data {
        checks.also_owing(&FRESHNESS_RULES);
        let answers = body.report_data.strip_prefix(wanted).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
        holds &= checks.record(&SNP_REPORT_DATA, answers, hex(wanted), hex(&body.report_data));
    }
    let lacking = match body.signing_key() {
        SigningKey::Vcek => Part::Vcek,
        SigningKey::Vlek => Part::Vlek,
        other => {
            checks.record(&SNP_SIGNING_KEY, false, "VCEK or VLEK", other.as_str());
            return Err(Unproven::Failed);
        }
    };
    let Some(place) = choose(report, evidence.certificates) else {
        return Err(if holds { Unproven::Lacks(lacking) } else { Unproven::Failed });
    };
    let (mut others, signer) = (evidence.certificates.to_vec(), evidence.certificates.get(place).ok_or(Unproven::Failed)?);
    others.remove(place);
    let vek = Vek::parse(signer);
    let told = vek.as_ref().map_or_else(ToString::to_string, |vek| vek.kind_name().to_owned());
    holds &= checks.record(&SNP_VEK, vek.is_ok(), "a certificate of a VCEK or VLEK", told);
    holds &= vek.as_ref().is_ok_and(|vek| matches(report, vek, checks));
    let signed = verifies(report, signer);
    let found = if signed { "a signature by this key" } else { "no signature of this key over these bytes" };
    holds &= checks.record(&SNP_SIGNATURE, signed, "ECDSA P-384 with SHA-384", found);
    let chain = trust.roots.path(EvidenceKind::Snp, signer, &others, &PROFILE, trust.now);
    if let Some(part) = chain.as_ref().err().and_then(|error| lacks(error, signer, vek.as_ref().ok()?, &others)) {
        return Err(if holds { Unproven::Lacks(part) } else { Unproven::Failed });
    }
    let found = chain.as_ref().map_or_else(ToString::to_string, |path| path.anchor.name.clone());
    holds &= checks.record(&SNP_CHAIN, chain.is_ok(), trust.roots.wanted(EvidenceKind::Snp), found);
    let (Ok(vek), Ok(path)) = (vek, chain) else { return Err(Unproven::Failed) };
    let chain = Chain { leaf: signer, path: &path, others: &others };
    holds &= is_for(&chain, &vek, checks);
    let crl_numbers = revocation::appraise(&chain, trust, checks);
    match crl_numbers {
        Some(crl_numbers) if holds => {
            let root = (path.anchor.name.clone(), path.anchor.kind);
            Ok(Facts { body: body.clone(), vek, signers: signers(&chain), root, crl_numbers })
        }
        _ => Err(Unproven::Failed),
    }
}

/// Whether each authority is one for this key, as far as its name says what it is for: those of AMD's name a generation.
fn is_for(chain: &Chain<'_, '_>, vek: &Vek, checks: &mut Checks) -> bool {
    let names = [chain.leaf].into_iter().chain(chain.issuers()).filter_map(|one| common_name(one.issuer())).collect::<Vec<_>>();
    let generation = |name: &&str| Product::of_authority(name).is_none_or(|product| product == vek.product);
    let for_vleks = |name: &str| name.starts_with(ASVK);
    let sort = names.first().is_none_or(|name| Product::of_authority(name).is_none() || for_vleks(name) == (vek.kind_name() == "VLEK"));
    let expected = format!("authorities over the {} of {}", vek.kind_name(), vek.product.as_str());
    checks.record(&SNP_AUTHORITY, sort && names.iter().all(generation), expected, names.join(" under "))
}

fn signers(chain: &Chain<'_, '_>) -> Vec<Digest> {
    let key = |certificate: &X509Certificate<'_>| Digest::of(certificate.public_key().raw);
    let mut keys = [chain.leaf].into_iter().chain(chain.issuers()).map(key).collect::<Vec<_>>();
    if keys.last() != Some(&chain.path.anchor.key) {
        keys.push(chain.path.anchor.key);
    }
    keys
}

/// What report and certificate both say.
fn matches(report: &Report<'_>, vek: &Vek, checks: &mut Checks) -> bool {
    let body = &report.body;
    let key = body.signing_key().as_str();
    let mut holds = checks.record(&SNP_SIGNING_KEY, key == vek.kind_name(), key, vek.kind_name());
    if let Some(cpuid) = body.cpuid {
        checks.also_owing(&PRODUCT_RULES);
        let found = body.product().map_or_else(|| format!("family {:#x}, model {:#x}", cpuid.family, cpuid.model), |it| it.as_str().into());
        holds &= checks.record(&SNP_PRODUCT, body.product() == Some(vek.product), vek.product.as_str(), found);
    }
    let reported = Tcb::of_bytes(body.reported_tcb, Some(vek.product));
    holds &= checks.record(&SNP_TCB, reported == vek.tcb, vek.tcb.to_string(), reported.to_string());
    // A host may hide its chip's number; then the key alone says which chip it is.
    let (same, expected) = match &vek.kind {
        VekKind::Vcek { hwid } => {
            let (named, rest) = body.chip_id.split_at_checked(hwid.len()).unwrap_or((&body.chip_id, &[]));
            (body.chip_id == [0; 64] || (named == hwid && rest.iter().all(|byte| *byte == 0)), format!("{}, or zero", hex(hwid)))
        }
        VekKind::Vlek { .. } => (true, "any chip: the key is a cloud provider's".to_owned()),
    };
    holds & checks.record(&SNP_CHIP_ID, same, expected, hex(&body.chip_id))
}

/// Whether the certificate's key made the report's signature.
pub(super) fn verifies(report: &Report<'_>, certificate: &X509Certificate<'_>) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, certificate.public_key().raw);
    let algorithm = report.body.signature_algo == 1;
    algorithm && report.fixed_signature().is_some_and(|signature| key.verify(report.signed, &signature).is_ok())
}

/// The certificate that would have to be there for a path, if it is just that: no certificate has the issuer's name, and those there are
/// not all of another generation.
fn lacks(error: &PathError, signer: &X509Certificate<'_>, vek: &Vek, others: &[X509Certificate<'_>]) -> Option<Part> {
    let PathError::IssuerUnknown { issuer } = error else { return None };
    if others.iter().any(|other| other.subject().to_string() == *issuer) {
        return None;
    }
    if *issuer != signer.issuer().to_string() {
        return Some(Part::Ark);
    }
    let generation = |other: &X509Certificate<'_>| common_name(other.subject()).and_then(Product::of_authority);
    let mut named = others.iter().filter(|other| other.is_ca()).filter_map(generation).peekable();
    let foreign = named.peek().is_some() && named.all(|product| product != vek.product);
    let part = if matches!(vek.kind, VekKind::Vcek { .. }) { Part::Ask } else { Part::Asvk };
    (!foreign).then_some(part)
}
