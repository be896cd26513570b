//! What an endorsement consists of.

use podseal_protocol::require;
use thiserror::Error;
use x509_parser::prelude::X509Certificate;

use super::key::{Endorsement, Vcek};
use crate::snp::{Tcb, Vek, VekKind};
use crate::{hex, x509};

/// Most bytes of one endorsement, certificates and document together. Makers' largest lists have about a tenth.
pub const LARGEST: usize = 4 << 20;
/// Most certificates beside a document; makers have two.
const MOST_CERTIFICATES: usize = 8;

/// A document that a maker signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A revocation list, DER.
    Crl(Vec<u8>),
    /// TCB levels: the JSON as it was answered, byte for byte, since the signature is over a part of it.
    TcbInfo(Vec<u8>),
    /// The quoting enclave's identity, likewise.
    QeIdentity(Vec<u8>),
}

impl Document {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let (Self::Crl(bytes) | Self::TcbInfo(bytes) | Self::QeIdentity(bytes)) = self;
        bytes
    }
}

/// The parts of an endorsement. Of the right form ([`Content::check`]), and not verified in any way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// Certificates, DER: those that were asked for, or those of who signed the document, as the service sent them.
    pub certificates: Vec<Vec<u8>>,
    /// What is signed; none where the certificates are what was asked for.
    pub document: Option<Document>,
}

/// Why bytes are not the endorsement that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// Longer than any.
    #[error("found more than {LARGEST} bytes")]
    TooLong,
    /// Other parts than it has.
    #[error("found {certificates} certificates and {document}, wanted {wanted}")]
    Parts {
        /// How many certificates there are.
        certificates: usize,
        /// Which document there is.
        document: &'static str,
        /// What there must be.
        wanted: &'static str,
    },
    /// A certificate that is none.
    #[error("found bytes that are no certificate in DER")]
    NotACertificate,
    /// A list that is none.
    #[error("found bytes that are no revocation list in DER with a number (RFC 5280, 5.2.3)")]
    NotACrl,
    /// Another JSON document.
    #[error("found JSON that is not {wanted}: {problem}")]
    NotJson {
        /// What was asked for.
        wanted: &'static str,
        /// What the parser said.
        problem: String,
    },
    /// About something else.
    #[error("found {what} of {found}, wanted of {wanted}")]
    Other {
        /// Which property.
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Whose was asked for.
        wanted: String,
    },
}

impl Content {
    /// Whether these are the parts that `endorsement` has, about whom it is about. What a signature would say is not asked.
    ///
    /// # Errors
    /// [`ContentError`]: what was found and wanted.
    pub(super) fn check(&self, endorsement: &Endorsement) -> Result<(), ContentError> {
        let length: usize = self.certificates.iter().map(Vec::len).sum::<usize>() + self.document.as_ref().map_or(0, |d| d.bytes().len());
        require(length <= LARGEST, ContentError::TooLong)?;
        let count = self.certificates.len();
        // Those of who signed a document, which Intel sends along; other makers' are asked for by themselves.
        let few = 0..=MOST_CERTIFICATES;
        let some = 1..=MOST_CERTIFICATES;
        let (wanted, certificates, is_that) = match (endorsement, &self.document) {
            (Endorsement::AmdVcek(_), document) => ("one certificate", 1..=1, document.is_none()),
            (Endorsement::AmdChain { .. }, document) => ("the certificates above a key", some, document.is_none()),
            (Endorsement::IntelTcbInfo { .. }, document) => {
                ("TCB info with its issuers", some, matches!(document, Some(Document::TcbInfo(_))))
            }
            (Endorsement::IntelQeIdentity, document) => {
                ("a quoting enclave's identity with its issuers", some, matches!(document, Some(Document::QeIdentity(_))))
            }
            (Endorsement::IntelPckCrl { .. }, document) => {
                ("a revocation list with its issuers", some, matches!(document, Some(Document::Crl(_))))
            }
            (_, document) => ("a revocation list", few, matches!(document, Some(Document::Crl(_)))),
        };
        let document = match self.document {
            None => "no document",
            Some(Document::Crl(_)) => "a revocation list",
            Some(Document::TcbInfo(_)) => "TCB info",
            Some(Document::QeIdentity(_)) => "a quoting enclave's identity",
        };
        require(is_that && certificates.contains(&count), ContentError::Parts { certificates: count, document, wanted })?;
        let parsed = self.certificates.iter().map(|der| x509::parse(der)).collect::<Option<Vec<_>>>();
        let parsed = parsed.ok_or(ContentError::NotACertificate)?;
        match (endorsement, parsed.as_slice()) {
            (Endorsement::AmdVcek(vcek), [certificate]) => is_of(vcek, certificate),
            (Endorsement::AmdChain { product, .. }, chain) => {
                let subjects: Vec<String> = chain.iter().map(|certificate| certificate.subject().to_string()).collect();
                let end = format!("-{}", product.as_str());
                let holds = subjects.iter().all(|subject| subject.split(", ").any(|name| name.ends_with(&end)));
                require(holds, ContentError::Other { what: "certificates", found: subjects.join("; "), wanted: end })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a certificate says that it is of that chip and TCB (57230, table 11). Another chip's would make good evidence look forged.
fn is_of(vcek: &Vcek, certificate: &X509Certificate<'_>) -> Result<(), ContentError> {
    let other = |found, wanted| ContentError::Other { what: "the key", found, wanted };
    let told = |chip: &[u8], tcb: &Tcb| format!("chip {}, {tcb}", hex::encode(chip));
    let wanted = told(vcek.hardware_id(), &vcek.levels());
    match Vek::parse(certificate) {
        Ok(Vek { kind: VekKind::Vcek { hwid }, product, tcb, .. }) => {
            let holds = (product, hwid.as_slice(), tcb) == (vcek.product(), vcek.hardware_id(), vcek.levels());
            require(holds, other(format!("{} {}", product.as_str(), told(&hwid, &tcb)), wanted))
        }
        Ok(_) => Err(other("a cloud provider's".to_owned(), wanted)),
        Err(error) => Err(other(error.to_string(), wanted)),
    }
}
