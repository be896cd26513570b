//! The document as it is signed: fields, types and bounds of the specification, nothing decided.

use super::policy::is_zero;
use crate::cose::cbor::{self, Bytes, Form, once};
use crate::cose::{CoseError, Sign1};
use crate::json::Text;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use thiserror::Error;

/// Longest payload, in bytes (3.1).
const LONGEST: usize = 16_384;
/// Registers that a document may have (3.2.2.2).
const REGISTERS: usize = 32;

/// Who is attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An enclave (`pcrs`).
    Enclave,
    /// An instance by its `NitroTPM` (`nitrotpm_pcrs`).
    NitroTpm,
}

impl Source {
    /// The payload's field that has the registers.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Enclave => "pcrs",
            Self::NitroTpm => "nitrotpm_pcrs",
        }
    }
}

/// Why bytes are no document.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The envelope.
    #[error(transparent)]
    Envelope(#[from] CoseError),
    /// The payload's fields.
    #[error("the payload is no attestation document: {0}; send what the NSM or the NitroTPM returned")]
    Payload(String),
}

/// A parsed document, of which nothing is known to be true yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<'a> {
    message: &'a Sign1,
    fields: Fields<'a>,
}

/// 2.2; an absent field and a null one are the same.
#[derive(Debug, Clone, PartialEq)]
struct Fields<'a> {
    module_id: Cow<'a, str>,
    timestamp: u64,
    source: Source,
    registers: [Option<&'a [u8]>; REGISTERS],
    certificate: &'a [u8],
    cabundle: Vec<&'a [u8]>,
    public_key: Option<&'a [u8]>,
    user_data: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
}

impl<'a> Document<'a> {
    /// Reads the payload of `message`.
    ///
    /// # Errors
    /// [`DocumentError::Payload`].
    pub fn parse(message: &'a Sign1) -> Result<Self, DocumentError> {
        if message.payload().len() > LONGEST {
            return Err(DocumentError::Payload(format!("{} bytes, at most {LONGEST} are taken", message.payload().len())));
        }
        let fields = cbor::decode(message.payload(), Form { tags: false, breaks: true }).map_err(DocumentError::Payload)?;
        Ok(Self { message, fields })
    }

    /// The message that it came in.
    #[must_use]
    pub fn message(&self) -> &'a Sign1 {
        self.message
    }

    /// Instance and enclave, or TPM.
    #[must_use]
    pub fn module_id(&self) -> &str {
        &self.fields.module_id
    }

    /// When it was made, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        self.fields.timestamp
    }

    /// Who is attested.
    #[must_use]
    pub fn source(&self) -> Source {
        self.fields.source
    }

    /// The value of one register (SHA-384).
    #[must_use]
    pub fn pcr(&self, index: u8) -> Option<&'a [u8]> {
        self.fields.registers.get(usize::from(index)).copied().flatten()
    }

    /// The registers that are there, by index.
    pub fn pcrs(&self) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.fields.registers.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?)))
    }

    /// The certificate of the key that signed it, DER.
    #[must_use]
    pub fn certificate(&self) -> &'a [u8] {
        self.fields.certificate
    }

    /// Its issuers, DER, the root first.
    #[must_use]
    pub fn cabundle(&self) -> &[&'a [u8]] {
        &self.fields.cabundle
    }

    /// The key that the enclave asked to have attested, in a form of its own.
    #[must_use]
    pub fn public_key(&self) -> Option<&'a [u8]> {
        self.fields.public_key
    }

    /// What the enclave asked to have signed.
    #[must_use]
    pub fn user_data(&self) -> Option<&'a [u8]> {
        self.fields.user_data
    }

    /// What it was asked to answer.
    #[must_use]
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.fields.nonce
    }

    /// Whether the enclave runs in debug mode: its image's registers are there and zero.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.fields.source == Source::Enclave && [0, 1, 2].into_iter().all(|index| self.pcr(index).is_some_and(is_zero))
    }
}

/// The fields so far.
#[derive(Debug, Default)]
struct Slots<'a> {
    module_id: Option<Text<'a>>,
    digest: Option<Text<'a>>,
    timestamp: Option<u64>,
    enclave: Option<Registers<'a>>,
    tpm: Option<Registers<'a>>,
    certificate: Option<Bytes<'a>>,
    cabundle: Option<Vec<Bytes<'a>>>,
    public_key: Option<Option<Bytes<'a>>>,
    user_data: Option<Option<Bytes<'a>>>,
    nonce: Option<Option<Bytes<'a>>>,
}

impl<'a> Slots<'a> {
    /// 3.2.2.1: all that must be there, and 3.2.2.2: within bounds.
    fn fields(self) -> Result<Fields<'a>, String> {
        let absent = |name: &str| format!("{name} is missing");
        let module_id = self.module_id.ok_or_else(|| absent("module_id"))?;
        if module_id.is_empty() {
            return Err("module_id is empty".to_owned());
        }
        let digest = self.digest.ok_or_else(|| absent("digest"))?;
        if &*digest != "SHA384" {
            return Err(format!("digest is {:?}, wanted \"SHA384\"", &*digest));
        }
        let timestamp = self.timestamp.ok_or_else(|| absent("timestamp"))?;
        if timestamp == 0 {
            return Err("timestamp is 0".to_owned());
        }
        let (source, registers) = match (self.enclave, self.tpm) {
            (Some(registers), None) => (Source::Enclave, registers.0),
            (None, Some(registers)) => (Source::NitroTpm, registers.0),
            (None, None) => return Err(absent("pcrs or nitrotpm_pcrs")),
            (Some(_), Some(_)) => return Err("there are both pcrs and nitrotpm_pcrs".to_owned()),
        };
        let certificate = sized("certificate", self.certificate.ok_or_else(|| absent("certificate"))?, 1..=1024)?;
        let bundle = self.cabundle.filter(|bundle| !bundle.is_empty()).ok_or_else(|| absent("cabundle"))?;
        let cabundle = bundle.into_iter().map(|one| sized("a certificate of cabundle", one, 1..=1024)).collect::<Result<_, _>>()?;
        let user = |name, bytes: Option<Option<Bytes<'a>>>| bytes.flatten().map(|bytes| sized(name, bytes, 0..=1024)).transpose();
        Ok(Fields {
            module_id: module_id.0,
            timestamp,
            source,
            registers,
            certificate,
            cabundle,
            public_key: user("public_key", self.public_key)?,
            user_data: user("user_data", self.user_data)?,
            nonce: user("nonce", self.nonce)?,
        })
    }
}

fn sized<'a>(name: &str, bytes: Bytes<'a>, bounds: RangeInclusive<usize>) -> Result<&'a [u8], String> {
    if bounds.contains(&bytes.0.len()) {
        return Ok(bytes.0);
    }
    Err(format!("{name} has {} bytes, wanted {} to {}", bytes.0.len(), bounds.start(), bounds.end()))
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Payload;
        impl<'de> Visitor<'de> for Payload {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut slots = Slots::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key {
                        "module_id" => once(&mut slots.module_id, &key, map.next_value()?)?,
                        "digest" => once(&mut slots.digest, &key, map.next_value()?)?,
                        "timestamp" => once(&mut slots.timestamp, &key, map.next_value()?)?,
                        "pcrs" => once(&mut slots.enclave, &key, map.next_value()?)?,
                        "nitrotpm_pcrs" => once(&mut slots.tpm, &key, map.next_value()?)?,
                        "certificate" => once(&mut slots.certificate, &key, map.next_value()?)?,
                        "cabundle" => once(&mut slots.cabundle, &key, map.next_value()?)?,
                        "public_key" => once(&mut slots.public_key, &key, map.next_value()?)?,
                        "user_data" => once(&mut slots.user_data, &key, map.next_value()?)?,
                        "nonce" => once(&mut slots.nonce, &key, map.next_value()?)?,
                        other => return Err(A::Error::custom(format_args!("{other:?} is no field of it"))),
                    }
                }
                slots.fields().map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_map(Payload)
    }
}

#[derive(Debug)]
struct Registers<'a>([Option<&'a [u8]>; REGISTERS]);

impl<'de: 'a, 'a> Deserialize<'de> for Registers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByIndex;
        impl<'de> Visitor<'de> for ByIndex {
            type Value = Registers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of registers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Registers<'de>, A::Error> {
                let mut registers = [None; REGISTERS];
                while let Some((index, value)) = map.next_entry::<u8, Bytes<'de>>()? {
                    let place = registers.get_mut(usize::from(index)).ok_or_else(|| A::Error::custom("a register beyond 31"))?;
                    if !matches!(value.0.len(), 32 | 48 | 64) {
                        return Err(A::Error::custom(format_args!("a register of {} bytes", value.0.len())));
                    }
                    once(place, "a register", value.0)?;
                }
                if registers.iter().all(Option::is_none) {
                    return Err(A::Error::custom("no register"));
                }
                Ok(Registers(registers))
            }
        }
        deserializer.deserialize_map(ByIndex)
    }
}
