//! A quote of version 4 or 5, byte by byte.
//!
//! Intel TDX DCAP Quoting Library API, appendix 3. Little-endian throughout; each length must lead exactly to the end of what holds it.

use super::enclave::EnclaveReport;
use super::td_report::TdReport;
use crate::tpm::buffer::{Reader, StructureError};
use crate::x509;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

const HEADER: usize = 48;
/// Attestation key type: ECDSA with SHA-256 over P-256.
const ECDSA_P256: u16 = 2;
const TEE_TDX: u32 = 0x81;
/// Certification data: a PCK certificate chain.
const PCK_CHAIN: u16 = 5;
/// Certification data: the quoting enclave's report and its own certification data.
const QE_REPORT: u16 = 6;
/// Whose quoting enclave: Intel's (A.3.1).
const INTEL: [u8; 16] = *b"\x93\x9a\x72\x33\xf7\x9c\x4c\xa9\x94\x0a\x0d\xb3\x95\x7f\x06\x07";
/// Certificates in one chain; a PCK's has three.
const MOST_CERTIFICATES: usize = 8;

/// Why bytes are no TD quote.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuoteError {
    /// The bytes end inside the quote, or a part of it has other ends than its length says.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// A field has a value that is not the one of a TD quote.
    #[error("{what} is {found:#x}, a TD quote has {wanted}; send the quote as the quoting service returned it")]
    Field {
        /// Field.
        what: &'static str,
        /// What was there.
        found: u32,
        /// What the format allows.
        wanted: &'static str,
    },
    /// Nobody knows what another vendor's quoting enclave signs.
    #[error("the quoting enclave's vendor is not Intel (939a7233f79c4ca9940a0db3957f0607); send a quote of Intel's quoting enclave")]
    Vendor,
    /// The chain in the certification data is none.
    #[error("the certification data of type 5 {reason}, wanted are PEM blocks or DER certificates one after another; quote again")]
    Certificates {
        /// What is wrong.
        reason: &'static str,
    },
}

/// A quote as it came. Nothing of it is known to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote<'a> {
    /// 4 or 5.
    pub version: u16,
    /// Type of the body, which version 5 names: 2 for TDX 1.0, 3 for TDX 1.5.
    pub body_type: Option<u16>,
    /// What it says about the TD.
    pub body: TdReport,
    /// What it says about the enclave that signed it.
    pub qe: EnclaveReport,
    /// Certificates in the certification data, DER, the PCK certificate first; none where it has another type than 5. Not parsed:
    /// [`Quote::chain`] does.
    pub certificates: Vec<Cow<'a, [u8]>>,
    /// What follows the signature data.
    pub after: &'a [u8],
    pub(super) signed: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) attestation_key: &'a [u8],
    pub(super) qe_report: &'a [u8],
    pub(super) qe_signature: &'a [u8],
    pub(super) qe_authentication: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads a quote, with whatever follows it in [`Quote::after`].
    ///
    /// # Errors
    /// [`QuoteError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, QuoteError> {
        let mut reader = Reader::new("quote", bytes);
        let version = read_header(&mut reader)?;
        let (body_type, size) = if version == 4 { (None, TdReport::SIZE) } else { read_body_type(&mut reader)? };
        let body = TdReport::parse(reader.take(size)?)?;
        let signed = bytes.get(..bytes.len() - reader.left()).unwrap_or_default();
        let length = read_length(&mut reader)?;
        let mut data = Reader::new("signature data of the quote", reader.take(length)?);
        let after = reader.take(reader.left())?;
        let (signature, attestation_key) = (data.take(64)?, data.take(64)?);
        let mut report = Reader::new("certification data of type 6", take_certification(&mut data, QE_REPORT)?);
        data.finish()?;
        let (qe_report, qe_signature) = (report.take(EnclaveReport::SIZE)?, report.take(64)?);
        let length = u16::from_le_bytes(report.array()?);
        let qe_authentication = report.take(usize::from(length))?;
        let (kind, chain) = read_certification(&mut report)?;
        report.finish()?;
        Ok(Self {
            version,
            body_type,
            body,
            qe: EnclaveReport::parse(qe_report)?,
            certificates: if kind == PCK_CHAIN { certificates(chain)? } else { Vec::new() },
            after,
            signed,
            signature,
            attestation_key,
            qe_report,
            qe_signature,
            qe_authentication,
        })
    }

    /// The certificates of the quote, parsed; that costs more than to read the rest of it.
    ///
    /// # Errors
    /// [`QuoteError::Certificates`].
    pub fn chain(&self) -> Result<Vec<X509Certificate<'_>>, QuoteError> {
        let chain = self.certificates.iter().map(|der| x509::parse(der)).collect::<Option<_>>();
        chain.ok_or(QuoteError::Certificates { reason: "has a block that is no X.509 certificate" })
    }
}

fn read_header(reader: &mut Reader<'_>) -> Result<u16, QuoteError> {
    let mut header = Reader::new("header of the quote", reader.take(HEADER)?);
    let version = u16::from_le_bytes(header.array()?);
    let key_type = u16::from_le_bytes(header.array()?);
    let tee_type = u32::from_le_bytes(header.array()?);
    header.take(4)?;
    let vendor: [u8; 16] = header.array()?;
    let field = |what, found, wanted| Err(QuoteError::Field { what, found, wanted });
    if tee_type != TEE_TDX {
        return field("the TEE type", tee_type, "0x81");
    }
    if !matches!(version, 4 | 5) {
        return field("the version", u32::from(version), "4 or 5");
    }
    if key_type != ECDSA_P256 {
        return field("the attestation key type", u32::from(key_type), "2, ECDSA over P-256");
    }
    podseal_protocol::require(vendor == INTEL, QuoteError::Vendor)?;
    Ok(version)
}

/// Version 5 says which body follows.
fn read_body_type(reader: &mut Reader<'_>) -> Result<(Option<u16>, usize), QuoteError> {
    let kind = u16::from_le_bytes(reader.array()?);
    let found = u32::from_le_bytes(reader.array()?);
    let size = match kind {
        2 => TdReport::SIZE,
        3 => TdReport::EXTENDED_SIZE,
        _ => return Err(QuoteError::Field { what: "the type of the body", found: u32::from(kind), wanted: "2 or 3" }),
    };
    if usize::try_from(found) != Ok(size) {
        return Err(QuoteError::Field { what: "the size of the body", found, wanted: "584 for type 2, 648 for type 3" });
    }
    Ok((Some(kind), size))
}

fn read_length(reader: &mut Reader<'_>) -> Result<usize, QuoteError> {
    Ok(usize::try_from(u32::from_le_bytes(reader.array()?)).unwrap_or(usize::MAX))
}

fn read_certification<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), QuoteError> {
    let kind = u16::from_le_bytes(reader.array()?);
    let length = read_length(reader)?;
    Ok((kind, reader.take(length)?))
}

fn take_certification<'a>(reader: &mut Reader<'a>, wanted: u16) -> Result<&'a [u8], QuoteError> {
    match read_certification(reader)? {
        (kind, data) if kind == wanted => Ok(data),
        (kind, _) => Err(QuoteError::Field { what: "the type of the certification data", found: u32::from(kind), wanted: "6" }),
    }
}

/// The chain, as PEM (a NUL may end it) or as DER.
fn certificates(chain: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, QuoteError> {
    let refused = |reason| QuoteError::Certificates { reason };
    let found = match std::str::from_utf8(chain) {
        Ok(text) => pem(text).ok_or(refused("has broken PEM"))?,
        Err(_) => der(chain).ok_or(refused("has broken DER"))?,
    };
    match found.len() {
        0 => Err(refused("has no certificate")),
        1..=MOST_CERTIFICATES => Ok(found),
        _ => Err(refused("has more certificates than a chain")),
    }
}

const LINE_END: [char; 2] = ['\r', '\n'];

/// Blocks, and nothing between them but ends of lines.
fn pem(text: &str) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut rest = text.strip_suffix('\0').unwrap_or(text).trim_matches(LINE_END);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (body, after) = rest.strip_prefix("-----BEGIN CERTIFICATE-----")?.split_once("-----END CERTIFICATE-----")?;
        let digits = body.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<_>>();
        found.push(Cow::Owned(STANDARD.decode(digits).ok()?));
        rest = after.trim_start_matches(LINE_END);
    }
    Some(found)
}

fn der(bytes: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (after, _) = X509Certificate::from_der(rest).ok()?;
        found.push(Cow::Borrowed(rest.get(..rest.len().checked_sub(after.len())?)?));
        rest = after;
    }
    Some(found)
}
