//! What a service answered, taken apart.

use thiserror::Error;

use super::{
    content::{Content, ContentError, Document},
    facts::Facts,
    key::{Endorsement, Kind},
    pem,
    service::{Service, ServiceKind},
};
use crate::{
    hex,
    json::{self, Text, object},
};

/// Longest header field with certificates, in bytes.
const LONGEST_CHAIN: usize = 64 << 10;

/// An answer, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body.
    pub body: Vec<u8>,
    /// The header field of [`Service::issuer_chain_headers`]: PEM, URL-encoded.
    pub issuer_chain: Option<String>,
}

/// Why an answer is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// Neither DER nor PEM nor, for Intel's lists, hexadecimal digits of DER.
    #[error("found a body that is no {0}")]
    Body(&'static str),
    /// The signers' certificates are missing.
    #[error("found no header {0:?} with the certificates of who signed it")]
    NoIssuerChain(&'static str),
    /// They are there, and broken.
    #[error("found a header of issuers that is no URL-encoded PEM of certificates")]
    IssuerChain,
    /// Its parts are others.
    #[error(transparent)]
    Content(#[from] ContentError),
}

object! {
    /// Azure THIM's answer about the machine it is asked on.
    Thim {
        certificate: Text<'a> = "vcekCert",
        chain: Text<'a> = "certificateChain",
    }
}

impl Answer {
    /// Its content, which is of the form of `endorsement` and about what that is about; and what it says of itself.
    ///
    /// # Errors
    /// [`AnswerError`]: what was found.
    pub fn read(self, service: &Service, endorsement: &Endorsement) -> Result<(Content, Facts), AnswerError> {
        let mut certificates = Vec::new();
        if let Some(header) = service.issuer_chain_headers(endorsement).first() {
            let encoded = self.issuer_chain.ok_or(AnswerError::NoIssuerChain(header))?;
            certificates = issuer_chain(&encoded).ok_or(AnswerError::IssuerChain)?;
        }
        let content = match endorsement.kind() {
            Kind::Certificates if service.kind == ServiceKind::AzureThim => {
                let wanted = || AnswerError::Body("JSON of Azure's THIM");
                let thim: Thim<'_> = json::parse(&self.body).map_err(|_| wanted())?;
                let pem = if matches!(endorsement, Endorsement::AmdVcek(_)) { thim.certificate } else { thim.chain };
                Content { certificates: pem_certificates(&pem.ok_or_else(wanted)?).ok_or_else(wanted)?, document: None }
            }
            Kind::Certificates => {
                let certificates = match std::str::from_utf8(&self.body) {
                    Ok(text) => pem_certificates(text).ok_or(AnswerError::Body("certificate"))?,
                    Err(_) => vec![self.body],
                };
                Content { certificates, document: None }
            }
            Kind::Crl => {
                Content { certificates, document: Some(Document::Crl(crl(self.body).ok_or(AnswerError::Body("revocation list"))?)) }
            }
            Kind::TcbInfo => Content { certificates, document: Some(Document::TcbInfo(self.body)) },
            Kind::QeIdentity => Content { certificates, document: Some(Document::QeIdentity(self.body)) },
        };
        let facts = Facts::read(endorsement, &content)?;
        Ok((content, facts))
    }
}

fn pem_certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = pem::read(text)?;
    let certificates = blocks.into_iter().map(|(label, der)| (label == "CERTIFICATE").then_some(der)).collect::<Option<Vec<_>>>()?;
    (!certificates.is_empty()).then_some(certificates)
}

/// DER, PEM, or hexadecimal digits of DER, in which a PCCS has its lists.
fn crl(body: Vec<u8>) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(&body) else { return Some(body) };
    let text = text.trim_ascii();
    if let Some(der) = hex::decode(text) {
        return Some(der);
    }
    match <[_; 1]>::try_from(pem::read(text)?) {
        Ok([("X509 CRL", der)]) => Some(der),
        _ => None,
    }
}

/// RFC 3986, 2.1, of PEM.
fn issuer_chain(encoded: &str) -> Option<Vec<Vec<u8>>> {
    if encoded.len() > LONGEST_CHAIN {
        return None;
    }
    let mut parts = encoded.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        decoded.extend(hex::decode(digits)?);
        decoded.extend(rest.as_bytes());
    }
    pem_certificates(std::str::from_utf8(&decoded).ok()?)
}
