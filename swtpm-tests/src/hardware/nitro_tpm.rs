//! NitroTPM over a software TPM: Amazon's name, and the vendor command by which an NV index carries a request to the hypervisor and a document back.
//!
//! A software TPM's index has at most 2048 bytes and a document is longer, so an index that is larger is kept here, and never reaches the TPM. The
//! session that authorizes the vendor command is the TPM's own, and its key is known to nobody here: that HMAC is taken as it comes, and the one in
//! the reply is random.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::amazon::{Amazon, Carried, NitroTpm};
use super::cbor;
use super::keys::random;
use super::packet::{self, FAILURE, Reader, code, refusal, reply_to_password, sized};
use crate::error::BenchError;
use crate::raw_tpm::{Bank, RS_PW, ST_NO_SESSIONS, ST_SESSIONS, exchange};
use crate::tpm_proxy::{Firmware, TpmProxy};

/// TPM2_VENDOR_AWS_NSM_REQUEST (aws/NitroTPM-Tools, nitro-tpm-attest).
pub const CC_NSM_REQUEST: u32 = 0x2000_0001;
/// TPM_PT_MANUFACTURER (part 2, section 6.13), among the properties.
const MANUFACTURER: u32 = 0x105;
const PROPERTIES: u32 = 6;
/// What an index of the software TPM may have.
const MOST_OF_TPM: u16 = 2048;
/// What an index here may have.
const MOST: u16 = 16_384;
/// Registers of a NitroTPM.
const REGISTERS: u8 = 24;
/// Most registers that one PCR_Read gives.
const AT_ONCE: usize = 8;
/// Response codes (part 2, section 6.6.3): TPM_RC_NV_DEFINED, TPM_RC_NV_RANGE, TPM_RC_SIZE, TPM_RC_BAD_AUTH of the first session.
const NV_DEFINED: u32 = 0x14c;
const NV_RANGE: u32 = 0x146;
const SIZE: u32 = 0x095;
const BAD_AUTH: u32 = 0x9a2;

/// What makes documents: of the instance as it is, and of what the request wants carried.
pub type Hypervisor = Box<dyn FnMut(&NitroTpm, &Carried) -> Result<Vec<u8>, BenchError> + Send>;

/// A running NitroTPM; it ends with the value.
#[derive(Debug)]
pub struct NitroTpmProxy {
    proxy: TpmProxy,
    hypervisor: Arc<Mutex<Behind>>,
}

/// The hypervisor behind it.
struct Behind(Hypervisor);

impl std::fmt::Debug for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Behind")
    }
}

impl NitroTpmProxy {
    /// Makes the software TPM whose command port is `tpm`, and whose control port is the next one, a NitroTPM of the instance `module_id`. The TPM
    /// has to have a SHA-384 bank.
    pub fn start(tpm: u16, amazon: &Amazon, module_id: &str) -> Result<Self, BenchError> {
        let hypervisor = Arc::new(Mutex::new(Behind(honest(amazon))));
        let firmware = NsmRequests { module_id: module_id.to_owned(), hypervisor: Arc::clone(&hypervisor), index: None };
        Ok(Self { proxy: TpmProxy::start_with(tpm, Box::new(firmware))?, hypervisor })
    }

    /// The proxy: its ports, what passed, and what an attacker on the bus can do.
    pub fn proxy(&self) -> &TpmProxy {
        &self.proxy
    }

    /// From now on documents are made by this.
    pub fn answer_by(&self, hypervisor: Hypervisor) {
        lock(&self.hypervisor).0 = hypervisor;
    }
}

/// Documents of the instance as it is, under this maker.
pub fn honest(amazon: &Amazon) -> Hypervisor {
    let amazon = amazon.clone();
    Box::new(move |attested, carried| amazon.document(attested, carried))
}

/// An index that is kept here.
#[derive(Debug)]
struct Index {
    handle: u32,
    password: Vec<u8>,
    content: Vec<u8>,
}

#[derive(Debug)]
struct NsmRequests {
    module_id: String,
    hypervisor: Arc<Mutex<Behind>>,
    index: Option<Index>,
}

impl Firmware for NsmRequests {
    fn answer(&mut self, command: &[u8], tpm: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut reader = Reader::behind_header(command);
        let own = match code(command) {
            packet::NV_DEFINE_SPACE => self.define(&mut reader),
            packet::NV_UNDEFINE_SPACE => self.undefine(&mut reader),
            packet::NV_WRITE => self.of_own(&mut reader, write),
            packet::NV_READ => self.of_own(&mut reader, read),
            CC_NSM_REQUEST => Some(self.request(&mut reader, tpm)?),
            _ => None,
        };
        match own {
            Some(reply) => Ok(reply),
            None => exchange(tpm, command).map(|reply| if code(command) == packet::GET_CAPABILITY { renamed(reply) } else { reply }),
        }
    }
}

impl NsmRequests {
    /// One that the software TPM has room for is its own.
    fn define(&mut self, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
        let (_owner, _authorization) = (reader.u32()?, reader.authorization()?);
        let (password, public) = (reader.sized()?, reader.sized()?);
        // nvIndex, nameAlg, attributes, authPolicy, dataSize.
        let mut public = Reader(public);
        let handle = public.u32()?;
        let (_name, _attributes, _policy) = (public.u16()?, public.u32()?, public.sized()?);
        let size = public.u16().filter(|size| *size > MOST_OF_TPM)?;
        if self.index.as_ref().is_some_and(|index| index.handle == handle) {
            return Some(refusal(NV_DEFINED));
        }
        if size > MOST || self.index.is_some() {
            return Some(refusal(SIZE));
        }
        self.index = Some(Index { handle, password: password.to_vec(), content: vec![0xff; size.into()] });
        Some(reply_to_password(&[]))
    }

    fn undefine(&mut self, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
        let (_owner, handle) = (reader.u32()?, reader.u32()?);
        self.index.take_if(|index| index.handle == handle).map(|_| reply_to_password(&[]))
    }

    /// What is done with the index that is kept here, if it is that one, by whoever knows its password.
    fn of_own(&mut self, reader: &mut Reader<'_>, act: fn(&mut Index, &mut Reader<'_>) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let (_authorized_by, handle) = (reader.u32()?, reader.u32()?);
        let index = self.index.as_mut().filter(|index| index.handle == handle)?;
        let authorization = reader.authorization()?;
        if authorization.session != RS_PW || authorization.secret != index.password {
            return Some(refusal(BAD_AUTH));
        }
        Some(act(index, reader).unwrap_or_else(|| refusal(NV_RANGE)))
    }

    /// Hands what the index holds to the hypervisor, and puts the answer in its place.
    fn request(&mut self, reader: &mut Reader<'_>, tpm: &mut TcpStream) -> io::Result<Vec<u8>> {
        let handles = reader.u32().zip(reader.u32());
        let session = reader.authorization().map(|authorization| authorization.session);
        // An HMAC session, and no password.
        let authorized = session.is_some_and(|session| session >> 24 == 0x02);
        let Some(index) = self.index.as_mut().filter(|index| handles == Some((index.handle, index.handle)) && authorized) else {
            return Ok(refusal(BAD_AUTH));
        };
        let named = |name: &str, value: Vec<u8>| cbor::map(&[(cbor::text(name), value)]);
        let answer = match Carried::of_request(&index.content) {
            None => named("Error", cbor::text("InvalidArgument")),
            Some(carried) => {
                let attested = NitroTpm::instance(&self.module_id, registers(tpm)?);
                match (lock(&self.hypervisor).0)(&attested, &carried) {
                    Ok(document) => named("Attestation", named("document", cbor::bytes(&document))),
                    Err(_) => named("Error", cbor::text("InternalError")),
                }
            }
        };
        let Some(room) = index.content.get_mut(..answer.len()) else { return Ok(refusal(FAILURE)) };
        room.copy_from_slice(&answer);
        let [nonce, hmac] = [random::<64>(), random::<64>()].map(|bytes| bytes.map_err(io::Error::other));
        let body = [&[0; 4][..], &sized(&nonce?), &[1], &sized(&hmac?)].concat();
        Ok(packet::packet(ST_SESSIONS, 0, &body))
    }
}

fn write(index: &mut Index, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let (data, offset) = (reader.sized()?, usize::from(reader.u16()?));
    index.content.get_mut(offset..offset + data.len())?.copy_from_slice(data);
    Some(reply_to_password(&[]))
}

fn read(index: &mut Index, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let (size, offset) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
    Some(reply_to_password(&sized(index.content.get(offset..offset + size)?)))
}

/// The SHA-384 bank as it is.
fn registers(tpm: &mut TcpStream) -> io::Result<BTreeMap<u8, [u8; 48]>> {
    let all = (0..REGISTERS).collect::<Vec<_>>();
    let mut found = BTreeMap::new();
    for some in all.chunks(AT_ONCE) {
        let select = some.iter().fold(0_u32, |select, index| select | 1 << index).to_le_bytes();
        let body = [&1_u32.to_be_bytes()[..], &Bank::Sha384.algorithm().to_be_bytes(), &[3], &select[..3]].concat();
        let reply = packet::send(tpm, ST_NO_SESSIONS, packet::PCR_READ, &body)?;
        // pcrUpdateCounter, TPML_PCR_SELECTION of one; TPML_DIGEST.
        let mut reader = Reader(reply.get(14..).unwrap_or_default());
        let values = reader.u32().filter(|count| *count as usize == some.len());
        let mut value = || reader.sized().and_then(|value| value.try_into().ok());
        for index in some {
            let value = values.and_then(|_| value()).ok_or_else(|| io::Error::other("the TPM has no SHA-384 bank"))?;
            found.insert(*index, value);
        }
    }
    Ok(found)
}

/// A reply to GetCapability, in which the maker is Amazon.
fn renamed(mut reply: Vec<u8>) -> Vec<u8> {
    // Header, moreData, capability, count; then property and value, each.
    let values = 10 + 9;
    let is_properties = code(&reply) == 0 && reply.get(11..15) == Some(&PROPERTIES.to_be_bytes());
    if is_properties {
        for pair in reply.get_mut(values..).unwrap_or_default().chunks_exact_mut(8) {
            if pair[..4] == MANUFACTURER.to_be_bytes() {
                pair[4..].copy_from_slice(b"AMZN");
            }
        }
    }
    reply
}

fn lock(hypervisor: &Mutex<Behind>) -> MutexGuard<'_, Behind> {
    hypervisor.lock().unwrap_or_else(PoisonError::into_inner)
}
