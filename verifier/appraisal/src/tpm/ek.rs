//! The endorsement key: a maker's certificate, up to a root that the configuration names.
//!
//! TCG EK Credential Profile 2.5 and RFC 5280. A chain proves a *kind* of machine; that it is ours, the registry says.

mod roots;

pub use roots::{EkRoot, EkRoots};

use super::HashAlgorithm;
use super::structures::{Attributes, KeyParameters, Public, Symmetric};
use crate::check::{Checks, Rule};
use crate::claims::RootKind;
use crate::x509::{self, PathError, Profile};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use podseal_protocol::Digest;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::X509Certificate;

/// The certificate is one of an endorsement key.
pub static EK_USAGE: Rule = Rule {
    name: "ek.usage",
    spec: "TCG EK Credential Profile 2.5, 3.2.16 (tcg-kp-EKCertificate)",
    remedy: "Send the EK certificate of the TPM (NV index 0x01c00002): another certificate of the same maker does not name an EK.",
};
/// There is a path from the certificate to a configured root, valid at this time.
pub static EK_CHAIN: Rule = Rule {
    name: "ek.chain",
    spec: "RFC 5280, 6.1",
    remedy: "Add the maker's intermediate certificates to the request, or its root as an [[ek_root]] of the verifier if machines of this kind are to be trusted.",
};
/// The EK is of the default template, for which credentials are made.
pub static EK_TEMPLATE: Rule = Rule {
    name: "ek.template",
    spec: "TCG EK Credential Profile 2.5, B.3.3 (template L-1)",
    remedy: "Enrol with the RSA-2048 EK of the default template (handle 0x81010001).",
};
/// The EK presented is the one that is certified.
pub static EK_KEY: Rule = Rule {
    name: "ek.key_matches_certificate",
    spec: "TCG EK Credential Profile 2.5, 3.2.7",
    remedy: "Send certificate and public area of the same EK.",
};

/// `tcg-kp-EKCertificate` (TCG EK Credential Profile 2.5, 3.2.16).
const EK_CERTIFICATE: Oid<'static> = oid!(2.23.133.8.1);

/// What the certificates of TPM makers may have.
pub const PROFILE: Profile = Profile { purpose: "an EK", usage: Some(&EK_CERTIFICATE), processed: &[] };

/// What every certificate owes.
pub static CERTIFICATE_RULES: [&Rule; 2] = [&EK_USAGE, &EK_CHAIN];
/// What every EK owes, its certificate included.
pub static RULES: [&Rule; 4] = [&EK_USAGE, &EK_CHAIN, &EK_TEMPLATE, &EK_KEY];

/// An RSA-2048 EK of the default template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkPublic {
    modulus: [u8; 256],
}

impl EkPublic {
    /// The key of a `TPMT_PUBLIC` (without size prefix) of the default template: RSA-2048 with exponent 65537, restricted decryption,
    /// AES-128-CFB, name algorithm SHA-256. `None` if it is anything else.
    #[must_use]
    pub fn parse(tpmt_public: &[u8]) -> Option<Self> {
        /// `TPM_ALG_AES` and `TPM_ALG_CFB`.
        const AES_128_CFB: Symmetric = Symmetric { algorithm: 0x0006, bits: 128, mode: 0x0043 };
        let public = Public::parse(tpmt_public).ok()?;
        let KeyParameters::Rsa { bits: 2048, exponent: 65_537, modulus } = public.key else { return None };
        let attributes = public.attributes.has(Attributes::RESTRICTED) && public.attributes.has(Attributes::DECRYPT);
        let template = attributes
            && public.symmetric == Some(AES_128_CFB)
            && public.scheme.is_none()
            && public.name_algorithm == HashAlgorithm::Sha256;
        template.then(|| modulus.try_into().ok()).flatten().map(|modulus| Self { modulus })
    }

    /// Modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> &[u8; 256] {
        &self.modulus
    }

    /// `SubjectPublicKeyInfo` (DER, `rsaEncryption`); `None` if the modulus is not one.
    #[must_use]
    pub fn spki(&self) -> Option<Vec<u8>> {
        let key = RsaPublicKeyComponents { n: &self.modulus[..], e: &[1, 0, 1][..] };
        key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok().map(|key| key.as_ref().to_vec())
    }
}

/// A certificate that passed [`appraise_certificate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkCertificate {
    spki: Vec<u8>,
    root: String,
    kind: RootKind,
}

impl EkCertificate {
    /// `SubjectPublicKeyInfo` (DER) of the certified key.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Configured name of the root at which the path ends.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What kind of root that is.
    #[must_use]
    pub fn kind(&self) -> RootKind {
        self.kind
    }
}

/// A TPM, as its maker certified it; made only by [`appraise_ek`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkIdentity {
    hash: Digest,
    public: EkPublic,
    certificate: EkCertificate,
}

impl EkIdentity {
    /// SHA-256 of the EK's `SubjectPublicKeyInfo`: what the registry knows the machine by.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The key, to make a credential for.
    #[must_use]
    pub fn public(&self) -> &EkPublic {
        &self.public
    }

    /// Configured name of the root.
    #[must_use]
    pub fn root(&self) -> &str {
        self.certificate.root()
    }

    /// Kind of the root.
    #[must_use]
    pub fn kind(&self) -> RootKind {
        self.certificate.kind()
    }
}

/// Appraises an EK certificate alone. `now` is in seconds since the Unix epoch; `certificate` may carry the padding of its NV index.
///
/// Records each of [`CERTIFICATE_RULES`].
pub fn appraise_certificate(
    certificate: &[u8],
    intermediates: &[&[u8]],
    roots: &EkRoots,
    now: u64,
    checks: &mut Checks,
) -> Option<EkCertificate> {
    let parsed = x509::parse(without_padding(certificate));
    let usage = parsed.as_ref().map_or("no certificate".to_owned(), usages);
    let usage = checks.record(&EK_USAGE, parsed.as_ref().is_some_and(has_ek_usage), "extended key usage 2.23.133.8.1", usage);
    let others = intermediates.iter().map(|der| x509::parse(der)).collect::<Option<Vec<_>>>().ok_or(PathError::IssuerNotACertificate);
    let path = match (parsed.as_ref(), &others) {
        (Some(leaf), Ok(others)) => roots.path(leaf, others, now).map(|path| (leaf, path.anchor)),
        (Some(_), Err(error)) => Err(error.clone()),
        (None, _) => Err(PathError::NotACertificate),
    };
    let found = path.as_ref().map_or_else(ToString::to_string, |(_, root)| format!("a path to {}", root.name));
    let chain = checks.record_from("[[ek_root]]", &EK_CHAIN, path.is_ok(), roots.wanted(), found);
    let (leaf, root) = path.ok().filter(|_| usage && chain)?;
    Some(EkCertificate { spki: leaf.public_key().raw.to_vec(), root: root.name.clone(), kind: root.kind })
}

/// Appraises an EK: its certificate, its public area (`TPMT_PUBLIC` without size prefix), and that the one certifies the other.
///
/// Records each of [`RULES`].
pub fn appraise_ek(
    certificate: &[u8],
    ek_public: &[u8],
    intermediates: &[&[u8]],
    roots: &EkRoots,
    now: u64,
    checks: &mut Checks,
) -> Option<EkIdentity> {
    let certificate = appraise_certificate(certificate, intermediates, roots, now, checks);
    let public = EkPublic::parse(ek_public);
    let template = checks.record(
        &EK_TEMPLATE,
        public.is_some(),
        "RSA-2048, restricted decryption, AES-128-CFB, name algorithm sha256",
        if public.is_some() { "that" } else { "another public area" },
    );
    let (certificate, public) = (certificate?, public.filter(|_| template)?);
    let hash = Digest::of(certificate.spki());
    let presented = public.spki().map(|spki| Digest::of(&spki));
    let found = presented.map_or_else(|| "no RSA key".to_owned(), |digest| digest.to_string());
    let matches = checks.record(&EK_KEY, presented == Some(hash), hash.to_string(), found);
    matches.then_some(EkIdentity { hash, public, certificate })
}

pub(crate) fn has_ek_usage(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.extended_key_usage(), Ok(Some(usage)) if usage.value.other.contains(&EK_CERTIFICATE))
}

pub(crate) fn usages(certificate: &X509Certificate<'_>) -> String {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) if !usage.value.other.is_empty() => usage.value.other.iter().map(Oid::to_id_string).collect::<Vec<_>>().join(", "),
        Ok(Some(_)) => "general key usages only".to_owned(),
        Ok(None) => "no extended key usage".to_owned(),
        Err(_) => "an extended key usage that does not parse".to_owned(),
    }
}

/// An NV index has a fixed size, filled up behind the certificate with 00 or ff. What follows is cut off only if it is such filling.
pub(crate) fn without_padding(bytes: &[u8]) -> &[u8] {
    let length = match bytes {
        [0x30, 0x82, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => return bytes,
    };
    match bytes.split_at_checked(length) {
        Some((certificate, rest)) if rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 0xff) => certificate,
        _ => bytes,
    }
}
