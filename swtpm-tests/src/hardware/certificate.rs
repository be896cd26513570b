//! Certificates and revocation lists (RFC 5280) of authorities that sign by any of [`Scheme`](super::keys::Scheme).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::der::{bits, integer, name, octets, oid, sequence, tlv, unsigned};
use super::keys::{AuthorityKey, Scheme, random};
use super::moment::{USUAL, Window, utc_time};
use crate::error::BenchError;

const TRUE: [u8; 3] = [1, 1, 0xff];

/// An extension.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    /// Object identifier, DER.
    pub(super) oid: Vec<u8>,
    pub(super) critical: bool,
    /// What is in its OCTET STRING.
    pub(super) value: Vec<u8>,
}

impl Extension {
    fn encode(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical { &TRUE } else { &[] };
        sequence(&[&self.oid, critical, &octets(&self.value)])
    }
}

/// A certificate that is to be issued.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// A distinguished name, DER.
    pub(super) subject: Vec<u8>,
    /// `SubjectPublicKeyInfo`, DER.
    pub(super) spki: Vec<u8>,
    /// Big-endian.
    pub(super) serial: Vec<u8>,
    pub(super) valid: Window,
    pub(super) extensions: Vec<Extension>,
}

/// Who signs certificates: a name with its key and certificate.
#[derive(Debug)]
pub(super) struct Authority {
    name: Vec<u8>,
    key: AuthorityKey,
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// Of its certificate, big-endian.
    pub(super) serial: Vec<u8>,
}

impl Certificate {
    /// A leaf's, good as usual, with a serial number of its own.
    pub(super) fn new(subject: Vec<u8>, spki: Vec<u8>, extensions: Vec<Extension>) -> Result<Self, BenchError> {
        let mut serial = random::<16>()?.to_vec();
        serial[0] = serial[0] & 0x3f | 0x40;
        Ok(Self { subject, spki, serial, valid: USUAL, extensions })
    }

    fn issue(&self, issuer: &[u8], key: &AuthorityKey) -> Result<Vec<u8>, BenchError> {
        let extensions = self.extensions.iter().flat_map(Extension::encode).collect::<Vec<_>>();
        let signed = sequence(&[
            &tlv(0xa0, &[&integer(2)]),
            &unsigned(&self.serial),
            &key.scheme().identifier(),
            issuer,
            &sequence(&[&utc_time(self.valid.from), &utc_time(self.valid.until)]),
            &self.subject,
            &self.spki,
            &tlv(0xa3, &[&sequence(&[&extensions])]),
        ]);
        sign(&signed, key)
    }
}

impl Authority {
    /// A root, which signs its own certificate.
    pub(super) fn root(common_name: &str, organization: Option<&str>, scheme: Scheme) -> Result<Self, BenchError> {
        let (name, key) = (name(common_name, organization), AuthorityKey::new(scheme)?);
        let draft = Certificate::new(name.clone(), key.spki()?, authority_extensions())?;
        Ok(Self { certificate: draft.issue(&name, &key)?, serial: draft.serial, name, key })
    }

    /// An authority below this one.
    pub(super) fn below(&self, common_name: &str, organization: Option<&str>) -> Result<Self, BenchError> {
        let (name, key) = (name(common_name, organization), AuthorityKey::new(self.key.scheme())?);
        let draft = Certificate::new(name.clone(), key.spki()?, authority_extensions())?;
        Ok(Self { certificate: self.issue(&draft)?, serial: draft.serial, name, key })
    }

    /// Signs a certificate: DER.
    pub(super) fn issue(&self, certificate: &Certificate) -> Result<Vec<u8>, BenchError> {
        certificate.issue(&self.name, &self.key)
    }

    /// A complete revocation list over these serial numbers (RFC 5280, 5), DER.
    pub(super) fn revocation_list(&self, number: u64, valid: Window, revoked: &[Vec<u8>]) -> Result<Vec<u8>, BenchError> {
        let entry = |serial: &Vec<u8>| sequence(&[&unsigned(serial), &utc_time(valid.from)]);
        let entries = revoked.iter().flat_map(entry).collect::<Vec<_>>();
        let entries = if entries.is_empty() { entries } else { sequence(&[&entries]) };
        let number = Extension { oid: oid(&[2, 5, 29, 20]), critical: false, value: integer(number) }.encode();
        let signed = sequence(&[
            &integer(1),
            &self.key.scheme().identifier(),
            &self.name,
            &utc_time(valid.from),
            &utc_time(valid.until),
            &entries,
            &tlv(0xa0, &[&sequence(&[&number])]),
        ]);
        sign(&signed, &self.key)
    }
}

/// Basic constraints, and the right to sign certificates and lists.
fn authority_extensions() -> Vec<Extension> {
    let constraints = Extension { oid: oid(&[2, 5, 29, 19]), critical: true, value: sequence(&[&TRUE]) };
    let usage = Extension { oid: oid(&[2, 5, 29, 15]), critical: true, value: vec![3, 2, 1, 6] };
    vec![constraints, usage]
}

/// That a key signs, and nothing else.
pub(super) fn signs() -> Extension {
    Extension { oid: oid(&[2, 5, 29, 15]), critical: true, value: vec![3, 2, 6, 0xc0] }
}

fn sign(signed: &[u8], key: &AuthorityKey) -> Result<Vec<u8>, BenchError> {
    Ok(sequence(&[signed, &key.scheme().identifier(), &bits(&key.sign(signed)?)]))
}

/// RFC 7468.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect::<String>();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// Certificates, one behind the other.
pub(super) fn pem_chain(certificates: &[&[u8]]) -> String {
    certificates.iter().map(|der| pem("CERTIFICATE", der)).collect()
}
