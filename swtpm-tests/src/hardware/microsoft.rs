//! Microsoft's part: the virtual TPM of an Azure confidential VM over a software TPM, with the paravisor (HCL) that keeps a hardware report in it
//! (Microsoft, Azure confidential VM guest attestation design).
//!
//! - 0x81000003: the attestation key, RSA-2048, restricted to what the TPM made;
//! - NV index 0x01400002: 64 bytes, for whatever the guest writes;
//! - NV index 0x01400001: the HCL report, made anew whenever somebody wrote there. On Azure the guest cannot write it; here the owner can.

mod vtpm;

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::amd::{Chip, SnpGuest};
use super::packet::{self, Reader, as_owner, code};
use crate::error::BenchError;
use crate::raw_tpm::exchange;
use crate::swtpm::Swtpm;
use crate::tpm_proxy::{Firmware, TpmProxy};

/// Where the HCL report is.
pub const HCL_REPORT: u32 = 0x0140_0001;
/// Where the guest writes what is to be reported.
pub const REPORT_DATA: u32 = 0x0140_0002;
/// The attestation key.
pub const AK: u32 = 0x8100_0003;
/// Bytes that the guest writes.
const DATA: usize = 64;
/// Bytes of the report's index: what a software TPM takes.
const REPORT_SIZE: usize = 2048;
/// How much one command carries.
const CHUNK: usize = 1024;

/// What makes the hardware's report over these 64 bytes.
pub type Reports = Box<dyn FnMut(&[u8; 64]) -> Result<Vec<u8>, BenchError> + Send>;

/// A running virtual TPM; it ends with the value.
#[derive(Debug)]
pub struct AzureVtpm {
    proxy: TpmProxy,
    paravisor: Arc<Mutex<Paravisor>>,
}

/// What stands between guest and host.
struct Paravisor {
    vm_id: String,
    /// Big-endian, of the attestation key.
    modulus: Vec<u8>,
    reports: Reports,
    last: Vec<u8>,
    failure: Option<String>,
}

impl std::fmt::Debug for Paravisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paravisor").field("vm_id", &self.vm_id).field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl AzureVtpm {
    /// A guest as Azure launches them, at VMPL 0, with an identity key.
    pub fn guest() -> SnpGuest {
        SnpGuest { guest_svn: 8, id_key_digest: [0xa2; 48], policy: 0x3_001f, vmpl: 0, ..SnpGuest::honest() }
    }

    /// Makes `tpm`, to which nobody is connected, the virtual TPM of the VM `vm_id` (`vmUniqueId`, a UUID) that runs as `guest` on `chip`.
    pub fn start(tpm: &Swtpm, chip: &Chip, guest: &SnpGuest, vm_id: &str) -> Result<Self, BenchError> {
        let modulus = vtpm::provision(&mut tpm.client()?)?;
        let paravisor = Paravisor { vm_id: vm_id.to_owned(), modulus, reports: honest(chip, guest), last: Vec::new(), failure: None };
        let paravisor = Arc::new(Mutex::new(paravisor));
        let proxy = TpmProxy::start_with(tpm.port(), Box::new(Watching(Arc::clone(&paravisor))))?;
        let vtpm = Self { proxy, paravisor };
        // As at boot: a report over nothing that anybody wrote.
        let report = lock(&vtpm.paravisor).hcl_report(&[0; DATA])?;
        vtpm::write(&mut tpm.client()?, HCL_REPORT, &report)?;
        Ok(vtpm)
    }

    /// The proxy: its ports, what passed, and what an attacker on the bus can do.
    pub fn proxy(&self) -> &TpmProxy {
        &self.proxy
    }

    /// From now on the hardware's reports are made by this.
    pub fn answer_by(&self, reports: Reports) {
        lock(&self.paravisor).reports = reports;
    }

    /// The last HCL report, without the zeros behind it.
    pub fn hcl_report(&self) -> Vec<u8> {
        lock(&self.paravisor).last.clone()
    }

    /// Why the last report could not be made, if so.
    pub fn failure(&self) -> Option<String> {
        lock(&self.paravisor).failure.clone()
    }
}

/// Reports of this guest on this chip.
pub fn honest(chip: &Chip, guest: &SnpGuest) -> Reports {
    let (chip, guest) = (chip.clone(), guest.clone());
    Box::new(move |data| chip.report(&guest, data))
}

impl Paravisor {
    /// Header, hardware report, and the runtime data that it covers.
    fn hcl_report(&mut self, user_data: &[u8; DATA]) -> Result<Vec<u8>, BenchError> {
        let runtime = self.runtime_data(user_data);
        let mut data = [0; 64];
        data[..32].copy_from_slice(digest(&SHA256, runtime.as_bytes()).as_ref());
        let report = (self.reports)(&data)?;
        let length = runtime.len() as u32;
        // Size of these fields and the document; version 1; 2 is SEV-SNP; 1 is SHA-256; length of the document.
        let fields = [20 + length, 1, 2, 1, length].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        // Version 2, length of the report, 2 is the attestation key's certificate, status, reserved.
        let header = [2, report.len() as u32, 2, 0, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        let whole = [b"HCLA", &header[..], &report, &fields, runtime.as_bytes()].concat();
        if whole.len() > REPORT_SIZE {
            return Err(BenchError::answer("the paravisor", format!("a report of {} bytes", whole.len()), "at most 2048 bytes"));
        }
        self.last.clone_from(&whole);
        Ok(whole)
    }

    /// The document that names the virtual TPM's key.
    fn runtime_data(&self, user_data: &[u8; DATA]) -> String {
        let modulus = URL_SAFE_NO_PAD.encode(&self.modulus);
        let user_data = user_data.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let key = format!(r#"{{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"{modulus}"}}"#);
        format!(r#"{{"keys":[{key}],"vm-configuration":{{"vmUniqueId":"{}"}},"user-data":"{user_data}"}}"#, self.vm_id)
    }

    /// Reads what the guest wrote, and puts a new report beside it.
    fn renew(&mut self, tpm: &mut TcpStream) -> io::Result<()> {
        let range = [&(DATA as u16).to_be_bytes()[..], &[0, 0]].concat();
        let reply = as_owner(tpm, packet::NV_READ, REPORT_DATA, &range)?;
        let written = Reader(reply.get(4..).unwrap_or_default()).sized().and_then(|data| data.try_into().ok());
        let written = written.ok_or_else(|| io::Error::other("NV_Read gave other than 64 bytes"))?;
        let mut report = self.hcl_report(written).map_err(io::Error::other)?;
        report.resize(REPORT_SIZE, 0);
        for (chunk, at) in report.chunks(CHUNK).zip((0_u16..).step_by(CHUNK)) {
            as_owner(tpm, packet::NV_WRITE, HCL_REPORT, &[&packet::sized(chunk)[..], &at.to_be_bytes()].concat())?;
        }
        Ok(())
    }
}

/// The paravisor, which sees each command.
#[derive(Debug)]
struct Watching(Arc<Mutex<Paravisor>>);

impl Firmware for Watching {
    fn answer(&mut self, command: &[u8], tpm: &mut TcpStream) -> io::Result<Vec<u8>> {
        let reply = exchange(tpm, command)?;
        let mut handles = Reader::behind_header(command);
        let index = handles.u32().and_then(|_| handles.u32());
        if code(command) == packet::NV_WRITE && code(&reply) == 0 && index == Some(REPORT_DATA) {
            let mut paravisor = lock(&self.0);
            paravisor.failure = paravisor.renew(tpm).err().map(|error| error.to_string());
        }
        Ok(reply)
    }
}

fn lock(paravisor: &Mutex<Paravisor>) -> MutexGuard<'_, Paravisor> {
    paravisor.lock().unwrap_or_else(PoisonError::into_inner)
}
