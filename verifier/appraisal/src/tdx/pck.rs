//! What a provisioning certification key's (PCK) certificate says about its platform.
//!
//! Intel SGX PCK Certificate and CRL Profile Specification 1.5, 1.3.5: one extension with a list of object identifiers and values.

use crate::x509::{self, Issuer};
use x509_parser::asn1_rs::{Any, FromDer, Oid, Tag, oid};
use x509_parser::prelude::X509Certificate;

/// The extension of Intel SGX, under which each value has its own identifier.
pub(super) const SGX_EXTENSION: Oid<'static> = oid!(1.2.840.113741.1.13.1);

/// A platform, as its PCK certificate describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pck {
    /// Platform provisioning id: names the machine.
    pub ppid: [u8; 16],
    /// Security versions of the CPU's parts, one for each component of TCB info.
    pub components: [u8; 16],
    /// Security version of the provisioning certification enclave (PCE).
    pub pcesvn: u16,
    /// Id of the PCE.
    pub pceid: [u8; 2],
    /// Family, model, stepping, platform, custom SKU: names the kind of machine.
    pub fmspc: [u8; 6],
    /// Serial number of the certificate, without leading zeros.
    pub serial: Vec<u8>,
}

impl Pck {
    /// Reads the extension of a certificate; `None` if there is none or it lacks a value.
    #[must_use]
    pub fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        let extension = certificate.get_extension_unique(&SGX_EXTENSION).ok()??;
        let values = Values::of(extension.value)?;
        let tcb = values.get(2, Tag::Sequence).and_then(Values::of_contents)?;
        let mut components = [0; 16];
        for (component, number) in components.iter_mut().zip(1..) {
            *component = u8::try_from(tcb.integer(number)?).ok()?;
        }
        Some(Self {
            ppid: values.octets(1)?,
            components,
            pcesvn: tcb.integer(17)?,
            pceid: values.octets(3)?,
            fmspc: values.octets(4)?,
            serial: serial(certificate),
        })
    }
}

/// Whether a certificate has the extension, whatever stands in it.
pub(super) fn has_extension(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| extension.oid == SGX_EXTENSION)
}

/// Serial number without leading zeros.
pub(super) fn serial(certificate: &X509Certificate<'_>) -> Vec<u8> {
    x509::serial(certificate.raw_serial()).to_vec()
}

/// Name and key of whoever issues: owned, for as long as nobody keeps the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) name: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Authority {
    pub(super) fn of(issuer: Issuer<'_>) -> Self {
        Self { name: issuer.name.to_vec(), key: issuer.key.to_vec() }
    }

    pub(super) fn issuer(&self) -> Issuer<'_> {
        Issuer { name: &self.name, key: &self.key }
    }
}

/// `SEQUENCE OF SEQUENCE { OBJECT IDENTIFIER, ANY }`, of which no identifier stands twice.
struct Values<'a>(Vec<Named<'a>>);

struct Named<'a> {
    oid: Oid<'a>,
    /// Last arc of an identifier below [`SGX_EXTENSION`].
    number: Option<u64>,
    value: Any<'a>,
}

impl<'a> Values<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let (rest, list) = Any::from_der(der).ok()?;
        (rest.is_empty() && list.tag() == Tag::Sequence).then(|| Self::of_contents(list.data))?
    }

    fn of_contents(mut contents: &'a [u8]) -> Option<Self> {
        let mut values = Vec::<Named<'a>>::new();
        while !contents.is_empty() {
            let (rest, pair) = Any::from_der(contents).ok()?;
            let (value, oid) = Oid::from_der(pair.data).ok().filter(|_| pair.tag() == Tag::Sequence)?;
            let (end, value) = Any::from_der(value).ok()?;
            if !end.is_empty() || values.iter().any(|other| other.oid == oid) {
                return None;
            }
            let number = oid.iter().and_then(Iterator::last).filter(|_| oid.starts_with(&SGX_EXTENSION));
            values.push(Named { oid, number, value });
            contents = rest;
        }
        Some(Self(values))
    }

    /// Contents of the value whose identifier ends in `number`.
    fn get(&self, number: u64, tag: Tag) -> Option<&'a [u8]> {
        let named = self.0.iter().find(|named| named.number == Some(number))?;
        (named.value.tag() == tag).then_some(named.value.data)
    }

    fn octets<const N: usize>(&self, number: u64) -> Option<[u8; N]> {
        self.get(number, Tag::OctetString)?.try_into().ok()
    }

    /// A number from 0 to 65535.
    fn integer(&self, number: u64) -> Option<u16> {
        match *self.get(number, Tag::Integer)? {
            [low @ 0..=0x7f] => Some(u16::from(low)),
            [high @ 0..=0x7f, low] | [0, high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }
}
