//! What a file is, by its content; by its name only where the content cannot tell.

use super::Document;
use super::parts::Item;
use super::pcrs::Pcrs;
use crate::cose::Sign1;
use crate::cose::cbor::{self, Form};
use crate::json::Text;
use crate::snp::CertificateTable;
use crate::tpm::buffer::unwrap_tpm2b;
use crate::tpm::structures::{Public, Signature};
use crate::{azure, hex, tpm, x509};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The names that decide where content cannot: by `*`, any text. A file of such a name that is not what the name says is malformed.
pub const NAMES: &[(&str, &str)] = &[
    ("nonce*, nonce.dat", "the nonce, as hexadecimal digits; nonce.dat: as bytes"),
    ("pcrs*.json", "PCR values, by bank and index or by index"),
    ("ak*, *.jwk, public.pem", "the key that signs: of two public keys, the one with such a name"),
    ("*.attest, *.sig", "a TPM's attestation and its signature; of several, quote.* is the quote"),
    ("report.bin, quote.bin, td_quote.bin, hcl_report.bin, document.cose", "hardware evidence"),
    ("eventlog.bin, ccel.bin", "a boot log"),
    ("ascii_runtime_measurements, binary_runtime_measurements", "an IMA list"),
    ("token.jwt, token.cose, claims.json", "a token"),
    ("*.der, *.pem", "certificates, keys and revocation lists"),
];

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recognised<'a> {
    /// One thing, or the blocks of a PEM file.
    Items(Vec<Item<'a>>),
    /// Not what its form or its name says.
    Malformed(String),
    /// No part of any evidence known here.
    Unknown,
}

/// Recognises one file.
pub(super) fn recognise<'a>(document: &Document<'a>) -> Recognised<'a> {
    if let Some(item) = by_name(document) {
        return Recognised::Items(vec![item]);
    }
    let recognised = match std::str::from_utf8(document.bytes) {
        Ok(text) => textual(text),
        Err(_) => Recognised::Unknown,
    };
    let recognised = if recognised == Recognised::Unknown { binary(document.bytes) } else { recognised };
    match recognised {
        Recognised::Unknown if document.name == "claims.json" && document.bytes.trim_ascii_start().starts_with(b"{") => {
            one(Item::EatClaims(document.bytes))
        }
        Recognised::Unknown if is_promised(document.name) => Recognised::Malformed("it is not what its name says".to_owned()),
        other => other,
    }
}

/// Contents that could be anything.
fn by_name<'a>(document: &Document<'a>) -> Option<Item<'a>> {
    let (name, bytes) = (document.name, document.bytes);
    if name == "nonce.dat" {
        return Some(Item::Nonce(bytes.to_vec()));
    }
    if name.starts_with("nonce") {
        let digits = std::str::from_utf8(bytes).ok()?;
        return hex::decode(digits.trim_ascii()).map(Item::Nonce);
    }
    let raw = name.ends_with(".sig") && is_rsa_length(bytes) && Signature::parse(bytes).is_err();
    raw.then_some(Item::RawSignature(bytes))
}

/// Whether bytes are as long as an RSA signature by a key of 2048, 3072 or 4096 bits.
fn is_rsa_length(bytes: &[u8]) -> bool {
    matches!(bytes.len(), 256 | 384 | 512)
}

/// Whether a file of this name must be evidence.
fn is_promised(name: &str) -> bool {
    const NAMED: [&str; 17] = [
        "extended_report.bin",
        "runtime_data.json",
        "tcb_info.json",
        "qe_identity.json",
        "report.bin",
        "quote.bin",
        "td_quote.bin",
        "hcl_report.bin",
        "document.cose",
        "eventlog.bin",
        "ccel.bin",
        "ascii_runtime_measurements",
        "binary_runtime_measurements",
        "token.jwt",
        "token.cose",
        "claims.json",
        "quote.attest",
    ];
    let ends = [".attest", ".sig", ".pem", ".der", ".jwk", ".tpmt_public", ".tpm2b_public"].iter().any(|end| name.ends_with(end));
    // A second form of a signature that is there already.
    let other_form = name.ends_with(".sig.der");
    NAMED.contains(&name) || name.starts_with("nonce") || (ends && !other_form) || (name.starts_with("pcrs") && name.ends_with(".json"))
}

/// What text begins with decides: a name or a value inside of it may look like anything.
fn textual(text: &str) -> Recognised<'_> {
    let trimmed = text.trim_ascii();
    if trimmed.starts_with('{') {
        return object(text);
    }
    if is_jwt(trimmed) {
        return one(Item::Jwt(trimmed));
    }
    if is_ima_line(trimmed.as_bytes()) {
        return one(Item::ImaAscii(text.as_bytes()));
    }
    if trimmed.lines().any(|line| line.starts_with("-----BEGIN ")) {
        return pem(trimmed);
    }
    Recognised::Unknown
}

fn one(item: Item<'_>) -> Recognised<'_> {
    Recognised::Items(vec![item])
}

/// Every block; a label that says what the bytes are not is a lie.
fn pem(text: &str) -> Recognised<'_> {
    let blocks = match x509::pem::blocks(text) {
        Ok(blocks) => blocks,
        Err(error) => return Recognised::Malformed(error.to_string()),
    };
    let mut items = Vec::new();
    for (label, der) in blocks {
        match (label, der_item(Cow::Owned(der))) {
            ("CERTIFICATE", Some(item @ Item::Certificate(_)))
            | ("X509 CRL", Some(item @ Item::Crl(_)))
            | ("PUBLIC KEY", Some(item @ Item::PublicKey(_))) => items.push(item),
            ("CERTIFICATE" | "X509 CRL" | "PUBLIC KEY", _) => return Recognised::Malformed(format!("a PEM block is no {label}")),
            _ => {}
        }
    }
    if items.is_empty() { Recognised::Unknown } else { Recognised::Items(items) }
}

fn der_item(der: Cow<'_, [u8]>) -> Option<Item<'_>> {
    let der = match der {
        Cow::Borrowed(bytes) => Cow::Borrowed(tpm::ek::without_padding(bytes)),
        owned @ Cow::Owned(_) => owned,
    };
    if x509::parse(&der).is_some() {
        Some(Item::Certificate(der))
    } else if x509::Crl::parse(&der).is_ok() {
        Some(Item::Crl(der))
    } else if matches!(SubjectPublicKeyInfo::from_der(&der), Ok((rest, _)) if rest.is_empty()) {
        Some(Item::PublicKey(der))
    } else {
        None
    }
}

/// A JSON object, by its members. Which of two equal members counts, the room that reads it decides: by refusing both.
fn object(text: &str) -> Recognised<'_> {
    let bytes = text.as_bytes();
    let Ok(Members { found, claims }) = serde_json::from_str::<Members>(text) else {
        return Recognised::Unknown;
    };
    let has = |name: &str| found.contains(&name);
    if has("tcbInfo") {
        one(Item::TcbInfo(bytes))
    } else if has("enclaveIdentity") {
        one(Item::QeIdentity(bytes))
    } else if has("kty") {
        one(Item::Jwk(bytes))
    } else if has("pubkeys") {
        one(Item::Keyring(bytes))
    } else if has("keys") && has("vm-configuration") {
        one(Item::RuntimeData(bytes))
    } else if claims {
        one(Item::EatClaims(bytes))
    } else {
        Pcrs::parse(bytes).map_or(Recognised::Unknown, |pcrs| one(Item::Pcrs(pcrs)))
    }
}

/// Which of the members that tell something an object has.
struct Members {
    found: BTreeSet<&'static str>,
    /// Whether any is a claim that only EATs have.
    claims: bool,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const TELLING: [&str; 6] = ["tcbInfo", "enclaveIdentity", "kty", "pubkeys", "keys", "vm-configuration"];
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut found, mut claims) = (BTreeSet::new(), false);
                while let Some((name, IgnoredAny)) = map.next_entry::<Text<'de>, IgnoredAny>()? {
                    found.extend(TELLING.iter().find(|telling| **telling == &*name));
                    claims |= is_claim(&name);
                }
                Ok(Members { found, claims })
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A name that only EATs have: of RFC 9711, EAR, or PSA tokens.
fn is_claim(name: &str) -> bool {
    ["eat_nonce", "eat_profile", "eat-profile", "ueid", "submods", "dbgstat"].contains(&name)
        || ["psa-", "ear."].iter().any(|prefix| name.starts_with(prefix))
}

/// RFC 7515, 7.1: the alphabet of the compact form, the first bytes of a JSON object in base64url somewhere (a quote or a line
/// may follow its brace), and its dots.
fn is_jwt(text: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().all(alphabet)
        && text.bytes().filter(|byte| *byte == b'.').count() >= 2
        && ["eyJ", "ew0", "ewo", "eyA"].iter().any(|begin| text.contains(begin))
}

/// `10 <template digest> <template name> …`, and then names of files, which need not be text.
fn is_ima_line(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut fields = line.splitn(4, |byte| *byte == b' ').map_while(|field| std::str::from_utf8(field).ok());
    let register = fields.next().is_some_and(|field| field.parse::<u8>().is_ok());
    let digest = fields.next().is_some_and(|field| field.len() >= 40 && hex::decode(field).is_some());
    register && digest && fields.next().is_some_and(|field| field.starts_with("ima"))
}

fn binary(bytes: &[u8]) -> Recognised<'_> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let half = |at: usize| bytes.get(at..at + 2).and_then(|half| half.try_into().ok()).map(u16::from_le_bytes);
    if bytes.starts_with(b"HCLA") {
        return one(Item::HclReport(bytes));
    }
    if let Some(document) = azure::runtime_data_of(bytes) {
        return one(Item::RuntimeData(document));
    }
    if bytes.starts_with(b"CCEL") {
        return one(Item::CcelTable(bytes));
    }
    if bytes.starts_with(&[0xff, b'T', b'C', b'G']) {
        return one(Item::Attest(bytes));
    }
    // Header of a quote: version, attestation key type, TEE type.
    if matches!(half(0), Some(3..=5)) && matches!(half(2), Some(2 | 3)) && matches!(word(4), Some(0 | 0x81)) {
        return one(Item::TdxQuote(bytes));
    }
    // COSE_Sign1 untagged, tagged, and with the tag of a CWT around (RFC 8392, 6).
    if matches!(bytes, [0x84, ..] | [0xd2, 0x84, ..] | [0xd8, 0x3d, 0xd2, 0x84, ..]) {
        let message = cose(bytes);
        return if message == Recognised::Unknown && is_rsa_length(bytes) { one(Item::RawSignature(bytes)) } else { message };
    }
    if bytes.first() == Some(&0x30)
        && let Some(item) = der_item(Cow::Borrowed(bytes))
    {
        return one(item);
    }
    // Signatures are shorter than 256 bytes; what is longer was meant as one of these.
    if bytes.starts_with(&[0x30, 0x82]) && !is_rsa_length(bytes) {
        return Recognised::Malformed("a certificate, key or revocation list that does not parse".to_owned());
    }
    // AMD 56860, table 23: the length with one of version and signature algorithm, or both where more follows, or what has to follow.
    if let Some((report, table)) = bytes.split_at_checked(0x4a0) {
        let ecdsa = word(0x34) == Some(1);
        let is_report = match table {
            [] => ecdsa || matches!(word(0), Some(1..=16)),
            table => (ecdsa && matches!(word(0), Some(2..=5))) || CertificateTable::parse(table).is_ok_and(|it| !it.entries.is_empty()),
        };
        if is_report {
            return one(Item::SnpReport { report, table });
        }
    }
    tpm_structure(bytes).or_else(|| log(bytes)).map_or(Recognised::Unknown, one)
}

/// What kind of payload is signed: a Nitro document's is a map with these names. A message that is none is told by the room that reads
/// it, unless an RSA signature happens to begin like one.
fn cose(bytes: &[u8]) -> Recognised<'_> {
    let Ok(message) = Sign1::parse(bytes) else {
        return if is_rsa_length(bytes) { Recognised::Unknown } else { one(Item::CoseToken(bytes)) };
    };
    match cbor::decode::<Fields>(message.payload(), Form { tags: false, breaks: true }) {
        Ok(Fields { module_id: true, nitrotpm_pcrs: false }) => one(Item::NitroDocument(bytes)),
        Ok(Fields { module_id: true, nitrotpm_pcrs: true }) => one(Item::NitroTpmDocument(bytes)),
        _ => one(Item::CoseToken(bytes)),
    }
}

/// Which of the fields that tell something a payload has.
#[derive(Default)]
struct Fields {
    module_id: bool,
    nitrotpm_pcrs: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, IgnoredAny)) = map.next_entry::<Text<'de>, IgnoredAny>()? {
                    fields.module_id |= &*name == "module_id";
                    fields.nitrotpm_pcrs |= &*name == "nitrotpm_pcrs";
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

fn tpm_structure(bytes: &[u8]) -> Option<Item<'_>> {
    if Signature::parse(bytes).is_ok() {
        return Some(Item::TpmSignature(bytes));
    }
    let public = unwrap_tpm2b("TPM2B_PUBLIC", bytes).unwrap_or(bytes);
    if Public::parse(public).is_ok() {
        return Some(Item::TpmPublic(public));
    }
    None
}

fn log(bytes: &[u8]) -> Option<Item<'_>> {
    if is_ima_line(bytes) {
        return Some(Item::ImaAscii(bytes));
    }
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let name = word(24).and_then(|length| bytes.get(28..28usize.checked_add(usize::try_from(length).ok()?)?));
    if word(0) == Some(10) && name.is_some_and(|name| name.starts_with(b"ima")) {
        return Some(Item::ImaBinary(bytes));
    }
    // PFP 1.06, 10.2.1: register, type, SHA-1 digest, size.
    let kind = word(4)?;
    let known = kind <= 0x20 || (0x8000_0000..=0x8000_00ff).contains(&kind);
    if word(0)? <= 23 && known && word(28).is_some() {
        // Only a TD's log has SHA-384 digests and no others.
        let sha384_only =
            bytes.get(32..47) == Some(b"Spec ID Event03") && word(56) == Some(1) && word(60).map(|id| id & 0xffff) == Some(12);
        return Some(if sha384_only { Item::Ccel(bytes) } else { Item::EventLog(bytes) });
    }
    is_rsa_length(bytes).then_some(Item::RawSignature(bytes))
}
