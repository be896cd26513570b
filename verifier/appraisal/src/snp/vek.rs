//! The certificates of the keys that sign reports (AMD 57230): what stands in their extensions.

use super::authentic::verifies;
use super::report::Report;
use super::tcb::{Product, Tcb};
use thiserror::Error;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::X509Certificate;

const PRODUCT_NAME: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.2);
const BOOTLOADER: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.1);
const TEE: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.2);
const SNP: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.3);
const MICROCODE: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.8);
const FMC: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.9);
const HWID: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.4);
const CSP_ID: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.5);
/// Candidates that are tried for a report, whatever comes along.
const MOST_CANDIDATES: usize = 16;

/// Why a certificate is none of a report's key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VekError {
    /// An extension is not there, or twice.
    #[error("the certificate does not have the extension {what} once; fetch it from AMD's KDS again")]
    Extension {
        /// Its name in AMD 57230.
        what: &'static str,
    },
    /// An extension holds something else.
    #[error("the extension {what} does not hold what AMD 57230 says; fetch the certificate from AMD's KDS again")]
    Value {
        /// Its name in AMD 57230.
        what: &'static str,
    },
    /// A processor that nobody here knows.
    #[error("the certificate is for {name}; Milan, Genoa and Turin are supported")]
    Product {
        /// `productName`.
        name: String,
    },
    /// It names a chip and a provider, or neither.
    #[error("the certificate must have either hwID or cspID; fetch it from AMD's KDS again")]
    Kind,
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VekKind {
    /// A chip's.
    Vcek {
        /// The chip: 64 bytes, on Turin 8.
        hwid: Vec<u8>,
    },
    /// A cloud provider's.
    Vlek {
        /// The provider's name: `CN=cc-us-east-2.amazonaws.com`.
        csp_id: String,
    },
}

/// What the certificate of a VCEK or VLEK says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vek {
    /// Whose key it is.
    pub kind: VekKind,
    /// `productName`: generation and stepping.
    pub product_name: String,
    /// Generation.
    pub product: Product,
    /// TCB version that the key is for.
    pub tcb: Tcb,
}

impl Vek {
    /// Reads the extensions.
    ///
    /// # Errors
    /// [`VekError`].
    pub fn parse(certificate: &X509Certificate<'_>) -> Result<Self, VekError> {
        let name = extension(certificate, &PRODUCT_NAME, "productName")?;
        let product_name = text(name).ok_or(VekError::Value { what: "productName" })?;
        let product = Product::of_name(&product_name).ok_or_else(|| VekError::Product { name: product_name.clone() })?;
        let part = |oid: &Oid<'_>, what| extension(certificate, oid, what).and_then(|value| small(value).ok_or(VekError::Value { what }));
        let tcb = Tcb {
            fmc: if product == Product::Turin { Some(part(&FMC, "fmcSPL")?) } else { None },
            bootloader: part(&BOOTLOADER, "blSPL")?,
            tee: part(&TEE, "teeSPL")?,
            snp: part(&SNP, "snpSPL")?,
            microcode: part(&MICROCODE, "ucodeSPL")?,
        };
        let has = |oid: &Oid<'_>| certificate.extensions().iter().any(|extension| extension.oid == *oid);
        let kind = match (has(&HWID), has(&CSP_ID)) {
            (true, false) => {
                let hwid = hwid(extension(certificate, &HWID, "hwID")?, product).ok_or(VekError::Value { what: "hwID" })?;
                VekKind::Vcek { hwid: hwid.to_vec() }
            }
            (false, true) => {
                let csp_id = text(extension(certificate, &CSP_ID, "cspID")?).ok_or(VekError::Value { what: "cspID" })?;
                VekKind::Vlek { csp_id }
            }
            _ => return Err(VekError::Kind),
        };
        Ok(Self { kind, product_name, product, tcb })
    }

    /// The value of `hwID` as it stands in the certificate, a header of DER included where it has one.
    #[must_use]
    pub fn raw_hwid<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
        extension(certificate, &HWID, "hwID").ok()
    }

    /// `VCEK` or `VLEK`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            VekKind::Vcek { .. } => "VCEK",
            VekKind::Vlek { .. } => "VLEK",
        }
    }
}

fn extension<'a>(certificate: &'a X509Certificate<'_>, oid: &Oid<'_>, what: &'static str) -> Result<&'a [u8], VekError> {
    let mut all = certificate.extensions().iter().filter(|extension| extension.oid == *oid);
    match (all.next(), all.next()) {
        (Some(extension), None) => Ok(extension.value),
        _ => Err(VekError::Extension { what }),
    }
}

/// DER INTEGER from 0 to 255, in its one encoding.
fn small(value: &[u8]) -> Option<u8> {
    match value {
        [0x02, 0x01, number @ ..=0x7f] | [0x02, 0x02, 0x00, number @ 0x80..=0xff] => Some(*number),
        _ => None,
    }
}

/// DER `IA5String` or `UTF8String` of printable ASCII, shorter than 128 bytes.
fn text(value: &[u8]) -> Option<String> {
    let (0x16 | 0x0c, rest) = value.split_first()? else { return None };
    let (length, text) = rest.split_first()?;
    let printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let whole = *length < 0x80 && usize::from(*length) == text.len() && printable;
    if whole { String::from_utf8(text.to_vec()).ok() } else { None }
}

/// AMD writes the bytes bare; newer certificates have them as an OCTET STRING. The length tells.
fn hwid(value: &[u8], product: Product) -> Option<&[u8]> {
    let length = product.chip_id_length();
    match value {
        [0x04, announced, bytes @ ..] if bytes.len() == length && usize::from(*announced) == length => Some(bytes),
        bytes if bytes.len() == length => Some(bytes),
        _ => None,
    }
}

/// The place of the certificate among `certificates` that a report's signature is verified with: the one whose key made it, or else
/// the one that names the report's chip, or else any that is no authority's.
#[must_use]
pub fn choose(report: &Report<'_>, certificates: &[X509Certificate<'_>]) -> Option<usize> {
    let leaves = || certificates.iter().enumerate().filter(|(_, certificate)| !certificate.is_ca()).take(MOST_CANDIDATES);
    let names_chip = |certificate: &X509Certificate<'_>| {
        Vek::parse(certificate).is_ok_and(|vek| matches!(vek.kind, VekKind::Vcek { hwid } if report.body.chip_id.starts_with(&hwid)))
    };
    let mut all = leaves();
    let (first, second) = (all.next()?, all.next());
    if second.is_none() {
        return Some(first.0);
    }
    let signer = leaves().find(|(_, certificate)| verifies(report, certificate));
    signer.or_else(|| leaves().find(|(_, certificate)| names_chip(certificate))).map_or(Some(first.0), |(place, _)| Some(place))
}
