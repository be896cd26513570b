//! Amazon's part: a root, authorities of a region and of a zone, and documents that hypervisors sign (AWS, Nitro Enclaves attestation process).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cbor::{NULL, Reader, array, bytes, map, text, unsigned};
use super::certificate::{Authority, Certificate, pem, signs};
use super::der::name;
use super::keys::{EvidenceKey, Scheme};
use super::moment::{HOUR, Window, seconds};
use crate::error::BenchError;

/// `{1: -35}`: ECDSA on P-384 with SHA-384 (RFC 9053, 2.1).
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
/// How long a hypervisor's certificate is good, from a minute ago on.
const LEAF: Window = Window { from: -60, until: 3 * HOUR };
const ORGANIZATION: Option<&str> = Some("Amazon of the bench");

/// The maker, known to nobody else.
#[derive(Clone, Debug)]
pub struct Amazon(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    root: Authority,
    region: Authority,
    zone: Authority,
}

/// What a document attests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An enclave: its registers are `pcrs`.
    Enclave,
    /// An instance by its NitroTPM: `nitrotpm_pcrs`.
    NitroTpm,
}

/// Who is attested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NitroTpm {
    /// An instance, or an enclave.
    pub source: Source,
    /// `i-…` for an instance.
    pub module_id: String,
    /// Registers by index, SHA-384.
    pub pcrs: BTreeMap<u8, [u8; 48]>,
    /// When the document says that it is made, in seconds from now.
    pub made: i64,
}

impl NitroTpm {
    /// An instance with these registers, attested now.
    pub fn instance(module_id: &str, pcrs: BTreeMap<u8, [u8; 48]>) -> Self {
        Self { source: Source::NitroTpm, module_id: module_id.to_owned(), pcrs, made: 0 }
    }
}

/// What the document is to carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// What it answers.
    pub nonce: Option<Vec<u8>>,
    /// Anything.
    pub user_data: Option<Vec<u8>>,
    /// A key, DER.
    pub public_key: Option<Vec<u8>>,
}

impl Carried {
    /// What a request asks for: `{"Attestation": {"user_data": …, "nonce": …, "public_key": …}}` (aws-nitro-enclaves-nsm-api). Bytes behind it are left
    /// alone; `None` where it is none.
    pub fn of_request(request: &[u8]) -> Option<Self> {
        let mut reader = Reader(request);
        let named = reader.map()? == 1 && reader.text()? == "Attestation";
        let fields = reader.map().filter(|_| named)?;
        let mut carried = Self::default();
        for _ in 0..fields {
            let field = match reader.text()? {
                "user_data" => &mut carried.user_data,
                "nonce" => &mut carried.nonce,
                "public_key" => &mut carried.public_key,
                _ => return None,
            };
            *field = reader.bytes_or_null()?.map(<[u8]>::to_vec);
        }
        Some(carried)
    }
}

impl Amazon {
    /// A maker.
    pub fn new() -> Result<Self, BenchError> {
        let root = Authority::root("aws.nitro-enclaves", ORGANIZATION, Scheme::P384)?;
        let region = root.below("region.bench.aws.nitro-enclaves", ORGANIZATION)?;
        let zone = region.below("zone.region.bench.aws.nitro-enclaves", ORGANIZATION)?;
        Ok(Self(Arc::new(Keys { root, region, zone })))
    }

    /// The root's certificate, PEM: what a verifier is configured to trust.
    pub fn root_pem(&self) -> String {
        pem("CERTIFICATE", &self.0.root.certificate)
    }

    /// A document: COSE_Sign1 under a new key of the hypervisor's.
    pub fn document(&self, attested: &NitroTpm, carried: &Carried) -> Result<Vec<u8>, BenchError> {
        let Keys { root, region, zone } = &*self.0;
        let key = EvidenceKey::p384()?;
        let subject = name(&format!("{}.bench.aws", attested.module_id), ORGANIZATION);
        let leaf = Certificate { valid: LEAF, ..Certificate::new(subject, key.spki()?, vec![signs()])? };
        let leaf = zone.issue(&leaf)?;
        let bundle = array(&[root, region, zone].map(|authority| bytes(&authority.certificate)));
        let optional = |value: &Option<Vec<u8>>| value.as_ref().map_or_else(|| vec![NULL], |value| bytes(value));
        let registers = attested.pcrs.iter().map(|(index, value)| (unsigned((*index).into()), bytes(value))).collect::<Vec<_>>();
        let field = match attested.source {
            Source::Enclave => "pcrs",
            Source::NitroTpm => "nitrotpm_pcrs",
        };
        let payload = map(&[
            (text("module_id"), text(&attested.module_id)),
            (text("digest"), text("SHA384")),
            (text("timestamp"), unsigned(seconds(attested.made).unsigned_abs() * 1000)),
            (text(field), map(&registers)),
            (text("certificate"), bytes(&leaf)),
            (text("cabundle"), bundle),
            (text("public_key"), optional(&carried.public_key)),
            (text("user_data"), optional(&carried.user_data)),
            (text("nonce"), optional(&carried.nonce)),
        ]);
        // RFC 9052, 4.4.
        let signed = array(&[text("Signature1"), bytes(&PROTECTED), bytes(&[]), bytes(&payload)]);
        Ok(array(&[bytes(&PROTECTED), map(&[]), bytes(&payload), bytes(&key.sign(&signed)?)]))
    }
}
