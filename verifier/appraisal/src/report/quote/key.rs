//! The key that a quote is under: a public area, a bare public key, or a certificate.

use super::rules::{QUOTE_AK_CERTIFICATE, QUOTE_AK_CREATION, QUOTE_ONE_KEY};
use crate::hex;
use crate::report::Settings;
use crate::report::certificates;
use crate::report::ek::{lacks_issuer, revocation};
use crate::report::findings::Findings;
use crate::report::parts::{Item, Parts};
use crate::tpm::ak::{AK_FIXED_PARENT, AK_FIXED_TPM, AK_NOT_DECRYPT, AK_RESTRICTED, AK_SENSITIVE_DATA_ORIGIN, AK_SIGN};
use crate::tpm::ek::{PROFILE, usages};
use crate::tpm::signer::Signer;
use crate::tpm::structures::{Attest, Attested, Attributes, KeyParameters, Public, Signature};
use crate::x509::{self, Chain, EvidenceKind, PathError};
use serde_json::json;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::X509Certificate;

/// The key, and what is known of it.
pub(super) fn find(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) -> Option<Signer> {
    let area = parts.only("public area", findings, |item| if let Item::TpmPublic(area) = item { Some(*area) } else { None });
    let area = area.and_then(|(file, area)| Some((file, Public::parse(area).ok()?)));
    if let Some((_, public)) = &area {
        attributes(public, findings);
    }
    let bare = bare(parts, findings);
    let of_area = area.as_ref().and_then(|(file, public)| Some((*file, Signer::of_public(public)?)));
    if let (Some((_, area)), Some((_, bare))) = (&of_area, &bare) {
        let same = findings.authenticity.record(&QUOTE_ONE_KEY, area == bare, "the key of the public area", "the public key");
        if !same {
            return None;
        }
    }
    let given = of_area.or(bare);
    let certified = certificate(parts, given.as_ref().map(|(_, key)| key), settings, findings);
    let key = match (given, certified) {
        (Some((file, key)), certified) => {
            if certified.is_none() {
                findings.anchor(format!("as given: {file}"));
            }
            key
        }
        (None, Some(key)) => key,
        (None, None) => {
            findings.missing("ak", "the AK's public key, public area or certificate with its issuers");
            return None;
        }
    };
    creation(parts, &key, area.as_ref().map(|(_, public)| public), findings);
    Some(key)
}

/// A bare public key; of several, the one whose file begins with `ak`.
fn bare<'a>(parts: &Parts<'a>, findings: &mut Findings) -> Option<(&'a str, Signer)> {
    let named = parts.each(|item| if let Item::PublicKey(_) = item { Some(()) } else { None }).any(|(file, ())| file.starts_with("ak"));
    let mut keys = Vec::<(&str, Signer)>::new();
    for (file, spki) in parts.each(|item| if let Item::PublicKey(spki) = item { Some(spki) } else { None }) {
        let key = Signer::of_spki(spki);
        if (!named || file.starts_with("ak")) && keys.iter().all(|(_, other)| *other != key) {
            keys.push((file, key));
        }
        if keys.len() > 1 {
            break;
        }
    }
    match keys.as_slice() {
        [_, _, ..] => {
            findings.authenticity.record(&QUOTE_ONE_KEY, false, "one public key", "several that differ");
            None
        }
        _ => keys.pop(),
    }
}

/// What the public area says the key is, and whether such a key can sign nothing but what its TPM made.
fn attributes(public: &Public<'_>, findings: &mut Findings) {
    let has = |attribute| public.attributes.has(attribute);
    let kind = if matches!(public.key, KeyParameters::Rsa { .. }) { "rsa" } else { "ecc" };
    let (restricted, sign, decrypt) = (has(Attributes::RESTRICTED), has(Attributes::SIGN), has(Attributes::DECRYPT));
    let (fixed_tpm, fixed_parent) = (has(Attributes::FIXED_TPM), has(Attributes::FIXED_PARENT));
    findings.claim(
        "ak",
        json!({
            "type": kind, "attrs": format!("{:08x}", public.attributes.0), "restricted": restricted, "sign": sign, "decrypt": decrypt,
            "fixedTPM": fixed_tpm, "fixedParent": fixed_parent, "name": public.name().to_string(),
        }),
    );
    findings.claim("ak_is_restricted_signing_fixedtpm", restricted && sign && !decrypt && fixed_tpm);
    for (rule, holds, wanted) in [
        (&AK_RESTRICTED, restricted, "restricted set"),
        (&AK_SIGN, sign, "sign set"),
        (&AK_NOT_DECRYPT, !decrypt, "decrypt clear"),
        (&AK_FIXED_TPM, fixed_tpm, "fixedTPM set"),
        (&AK_FIXED_PARENT, fixed_parent, "fixedParent set"),
        (&AK_SENSITIVE_DATA_ORIGIN, has(Attributes::SENSITIVE_DATA_ORIGIN), "sensitiveDataOrigin set"),
    ] {
        findings.policy.record(rule, holds, wanted, format!("attributes {:08x}", public.attributes.0));
    }
}

/// The certificate of the key, if it came along with its issuers or under a root that is configured as a certificate: then the whole chain
/// must hold, and nothing else be there. One certificate alone, whose issuer nobody knows, says nothing about this key.
fn certificate(parts: &Parts<'_>, key: Option<&Signer>, settings: &Settings<'_>, findings: &mut Findings) -> Option<Signer> {
    let certificates = certificates::each(parts).collect::<Vec<_>>();
    let is_authority = |one: &&X509Certificate<'_>| one.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    let leaf = certificates.iter().find(|one| !is_authority(one) && key.is_none_or(|key| one.public_key().raw == key.spki()));
    let path = leaf.map(|leaf| (leaf, settings.roots.path(EvidenceKind::Tpm, leaf, &certificates, &PROFILE, settings.now)));
    let unknown = |error: &PathError| lacks_issuer(error, &certificates);
    match &path {
        // Somebody else's, or nothing at all.
        None if certificates.len() < 2 => return None,
        Some((_, Err(error))) if unknown(error) && (certificates.len() < 2 || key.is_none()) => {
            if key.is_none() {
                findings.missing("ak_cert_chain", "the certificates of the authorities that certified the AK, up to a root");
            }
            return None;
        }
        _ => {}
    }
    let path = path.ok_or_else(|| "none of the certificates is this key's".to_owned()).and_then(|(leaf, path)| {
        let path = path.map_err(|error| error.to_string())?;
        match x509::beside(&path, &certificates).into_iter().find(|one| *one != leaf) {
            Some(stranger) => Err(format!("{} beside the path", x509::rfc4514(stranger.subject()))),
            None if !may_attest(leaf) => Err(format!("a certificate for something else: {}", usages(leaf))),
            None => Ok((leaf, path)),
        }
    });
    let found = path.as_ref().map_or_else(Clone::clone, |(_, path)| format!("a path to {}", path.anchor.name));
    let wanted = settings.roots.wanted(EvidenceKind::Tpm);
    let holds = findings.authenticity.record(&QUOTE_AK_CERTIFICATE, path.is_ok(), wanted, found);
    let (leaf, path) = path.ok().filter(|_| holds)?;
    findings.anchor(format!("{} ({})", path.anchor.name, path.anchor.kind.as_str()));
    revocation(parts, &Chain { leaf, path: &path, others: &certificates }, settings, findings);
    Some(Signer::of_spki(leaf.public_key().raw))
}

/// Whether a certificate is one of a key that signs, and that attests where it says what for (TCG, tcg-kp-AIKCertificate).
fn may_attest(certificate: &X509Certificate<'_>) -> bool {
    const AIK: Oid<'static> = oid!(2.23.133.8.3);
    let signs = certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.digital_signature()));
    let attests = certificate.extended_key_usage();
    signs && attests.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.any || usage.value.other.contains(&AIK)))
}

/// `TPM2_CertifyCreation` of the key, if it came along; and that each signature is the quote's or this one's.
fn creation(parts: &Parts<'_>, key: &Signer, public: Option<&Public<'_>>, findings: &mut Findings) {
    let creation = |item: &Item<'_>| match item {
        Item::Attest(attest) if attest.get(4..6) == Some(&[0x80, 0x1a]) => Some(attest.to_vec()),
        _ => None,
    };
    let Some((file, attest)) = parts.only("creation attestation", findings, creation) else { return };
    let parsed = match Attest::parse(&attest) {
        Ok(parsed) => parsed,
        Err(error) => return findings.malformed(file, error),
    };
    let Attested::Creation { name, .. } = parsed.attested else { return };
    let signatures = parts.each(|item| if let Item::TpmSignature(bytes) = item { Signature::parse(bytes).ok() } else { None });
    let signed = signatures.map(|(_, signature)| signature).any(|signature| key.verifies(&attest, &signature));
    let named = public.is_none_or(|public| public.name().as_ref() == name);
    let found = format!("one of {}{}", hex::encode(name), if signed { "" } else { ", not signed by this key" });
    let wanted = public.map_or_else(|| "one of this key".to_owned(), |public| format!("one of {}", public.name()));
    findings.authenticity.record(&QUOTE_AK_CREATION, signed && named, wanted, found);
}
