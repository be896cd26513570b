//! An endorsement as a file: a head that says what it is and whence, then its parts as PEM blocks.
//!
//! One file, so that it is whole or not there; and of a form whose certificates and lists other tools read as well.

use podseal_protocol::{Digest, require};
use thiserror::Error;
use toml::value::Datetime;

use super::{
    content::{Content, ContentError, Document},
    facts::Facts,
    key::Endorsement,
    pem,
};
use crate::calendar;

const HEAD: &str = "podseal endorsement 1";
const CERTIFICATE: &str = "CERTIFICATE";
const CRL: &str = "X509 CRL";
const TCB_INFO: &str = "INTEL TCB INFO";
const QE_IDENTITY: &str = "INTEL QE IDENTITY";

/// An endorsement with where and when it was got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsed {
    /// Which one.
    pub endorsement: Endorsement,
    /// Its parts.
    pub content: Content,
    /// The address that answered with it.
    pub source: String,
    /// When, in seconds since 1970.
    pub fetched: u64,
}

/// Why a file is no endorsement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileError {
    /// Not such a file, or not as it would be written.
    #[error("found bytes that are not as podseal writes an endorsement; fetch or import it again")]
    Form,
    /// The parts are not those of the endorsement that it names.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl Endorsed {
    /// The file. `source` is cut to one line of visible characters.
    #[must_use]
    pub fn encode(&self) -> String {
        let source: String = self.source.chars().filter(char::is_ascii_graphic).collect();
        let fetched = calendar::rfc3339(self.fetched).unwrap_or_default();
        let blocks = self.blocks();
        format!("{HEAD}\nendorsement: {}\nsource: {source}\nfetched: {fetched}\n\n{blocks}", self.endorsement)
    }

    /// SHA-256 of the parts: of two answers with the same content it is the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.blocks().as_bytes())
    }

    fn blocks(&self) -> String {
        let mut out = String::new();
        match &self.content.document {
            None => {}
            Some(Document::Crl(der)) => pem::write(&mut out, CRL, der),
            Some(Document::TcbInfo(json)) => pem::write(&mut out, TCB_INFO, json),
            Some(Document::QeIdentity(json)) => pem::write(&mut out, QE_IDENTITY, json),
        }
        for der in &self.content.certificates {
            pem::write(&mut out, CERTIFICATE, der);
        }
        out
    }

    /// Reads a file, and what it says of itself.
    ///
    /// # Errors
    /// [`FileError`]. A file that is accepted is byte for byte what [`Endorsed::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Facts), FileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| FileError::Form)?;
        let endorsed = read(text).ok_or(FileError::Form)?;
        require(endorsed.encode() == text, FileError::Form)?;
        let facts = Facts::read(&endorsed.endorsement, &endorsed.content)?;
        Ok((endorsed, facts))
    }
}

fn read(text: &str) -> Option<Endorsed> {
    let (head, blocks) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    let mut field = |name: &str| lines.next()?.strip_prefix(name);
    field(HEAD)?;
    let endorsement = field("endorsement: ")?.parse().ok()?;
    let source = field("source: ")?.to_owned();
    let fetched = calendar::to_unix(&field("fetched: ")?.parse::<Datetime>().ok()?)?;
    let mut content = Content::default();
    for (label, bytes) in pem::read(blocks)? {
        let document = match label {
            CERTIFICATE => {
                content.certificates.push(bytes);
                continue;
            }
            CRL => Document::Crl(bytes),
            TCB_INFO => Document::TcbInfo(bytes),
            QE_IDENTITY => Document::QeIdentity(bytes),
            _ => return None,
        };
        if content.document.replace(document).is_some() {
            return None;
        }
    }
    Some(Endorsed { endorsement, content, source, fetched })
}
