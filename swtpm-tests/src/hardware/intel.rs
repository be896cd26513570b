//! Intel's part: a root, an authority over platforms, a signer of what is known about them, and platforms that make quotes.

mod collateral;
mod quote;

use std::sync::Arc;

pub use collateral::{Collateral, Status};
pub use quote::Td;

use super::certificate::{Authority, Certificate, Extension, pem, pem_chain, signs};
use super::der::{integer, name, octets, oid, sequence, tlv};
use super::kernel::{Reply, Reporter};
use super::keys::{EvidenceKey, Scheme, random};
use super::moment::Window;
use crate::error::BenchError;

/// Family, model, stepping, platform and custom SKU: the kind of every platform here.
pub const FMSPC: [u8; 6] = [0x00, 0x80, 0x6f, 0x05, 0x00, 0x00];
/// Security versions of a platform's SGX components that nothing is known against.
const COMPONENTS: [u8; 16] = [8, 8, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
/// Security version of its provisioning certification enclave.
const PCE_SVN: u16 = 11;
const PCE_ID: [u8; 2] = [0; 2];
/// The arcs of the extension of Intel SGX (Intel SGX PCK Certificate and CRL Profile Specification 1.5, 1.3.5).
const SGX: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];
const ORGANIZATION: Option<&str> = Some("Intel Corporation of the bench");

/// A maker of platforms, known to nobody else.
#[derive(Clone, Debug)]
pub struct Intel(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    root: Authority,
    platforms: Authority,
    signer: EvidenceKey,
    /// Of the signer, DER.
    signer_certificate: Vec<u8>,
}

/// A machine with its quoting enclave.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Platform provisioning id: names the machine.
    pub ppid: [u8; 16],
    /// The serial number of its PCK certificate, big-endian.
    pub serial: Vec<u8>,
    pck: Arc<EvidenceKey>,
    attestation: Arc<EvidenceKey>,
    /// PCK certificate, authority, root; PEM.
    chain: String,
}

impl Intel {
    /// A maker.
    pub fn new() -> Result<Self, BenchError> {
        let root = Authority::root("Intel SGX Root CA", ORGANIZATION, Scheme::P256)?;
        let platforms = root.below("Intel SGX PCK Platform CA", ORGANIZATION)?;
        let signer = EvidenceKey::p256()?;
        let certificate = Certificate::new(name("Intel SGX TCB Signing", ORGANIZATION), signer.spki()?, vec![signs()])?;
        let signer_certificate = root.issue(&certificate)?;
        Ok(Self(Arc::new(Keys { root, platforms, signer, signer_certificate })))
    }

    /// The root's certificate, PEM: what a verifier is configured to trust.
    pub fn root_pem(&self) -> String {
        pem("CERTIFICATE", &self.0.root.certificate)
    }

    /// Who signs TCB info and identity: the signer's certificate and the root's, PEM.
    pub fn signing_chain_pem(&self) -> String {
        pem_chain(&[&self.0.signer_certificate, &self.0.root.certificate])
    }

    /// Who signs the list of platforms: the authority's certificate and the root's, PEM.
    pub fn platforms_chain_pem(&self) -> String {
        pem_chain(&[&self.0.platforms.certificate, &self.0.root.certificate])
    }

    /// A machine that nothing is known against.
    pub fn platform(&self) -> Result<Platform, BenchError> {
        self.platform_with(COMPONENTS, PCE_SVN)
    }

    /// A machine with these security versions of its SGX components and of its provisioning certification enclave.
    pub fn platform_with(&self, components: [u8; 16], pce_svn: u16) -> Result<Platform, BenchError> {
        let (ppid, pck, attestation) = (random::<16>()?, EvidenceKey::p256()?, EvidenceKey::p256()?);
        let extension = Extension { oid: oid(&SGX), critical: false, value: sgx_extension(&ppid, &components, pce_svn) };
        let certificate = Certificate::new(name("Intel SGX PCK Certificate", ORGANIZATION), pck.spki()?, vec![signs(), extension])?;
        let leaf = self.0.platforms.issue(&certificate)?;
        let chain = pem("CERTIFICATE", &leaf) + &self.platforms_chain_pem();
        Ok(Platform { ppid, serial: certificate.serial, pck: Arc::new(pck), attestation: Arc::new(attestation), chain })
    }

    /// The list of the authority over platforms, DER, with these serial numbers on it.
    pub fn platforms_list(&self, number: u64, valid: Window, revoked: &[Vec<u8>]) -> Result<Vec<u8>, BenchError> {
        self.0.platforms.revocation_list(number, valid, revoked)
    }

    /// The root's list, DER; `platforms_revoked` puts the authority over platforms on it.
    pub fn root_list(&self, number: u64, valid: Window, platforms_revoked: bool) -> Result<Vec<u8>, BenchError> {
        let revoked = if platforms_revoked { vec![self.0.platforms.serial.clone()] } else { Vec::new() };
        self.0.root.revocation_list(number, valid, &revoked)
    }
}

/// What a PCK certificate says of its platform.
fn sgx_extension(ppid: &[u8; 16], components: &[u8; 16], pce_svn: u16) -> Vec<u8> {
    let value = |rest: &[u64], value: Vec<u8>| sequence(&[&oid(&[&SGX, rest].concat()), &value]);
    let levels = components.iter().zip(1..).flat_map(|(svn, number)| value(&[2, number], integer((*svn).into())));
    let levels = levels.chain(value(&[2, 17], integer(pce_svn.into()))).chain(value(&[2, 18], octets(components)));
    let tcb = sequence(&[&levels.collect::<Vec<_>>()]);
    // SGX type: scalable.
    let sgx_type = tlv(0x0a, &[&[1]]);
    sequence(&[
        &value(&[1], octets(ppid)),
        &value(&[2], tcb),
        &value(&[3], octets(&PCE_ID)),
        &value(&[4], octets(&FMSPC)),
        &value(&[5], sgx_type),
    ])
}

impl Platform {
    /// A quote of `td` over `report_data`: version 4, or version 5 where service TDs are told.
    pub fn quote(&self, td: &Td, report_data: &[u8; 64]) -> Result<Vec<u8>, BenchError> {
        quote::quote(&td.lay_out(report_data), &self.pck, &self.attestation, &self.chain)
    }

    /// What makes quotes of `td` for whoever asks its kernel; RTMR3 is what the kernel has.
    pub fn reporter(&self, td: &Td) -> Reporter {
        let (platform, td) = (self.clone(), td.clone());
        Box::new(move |asked| {
            let report = platform.quote(&td.with_rtmr3(asked.rtmr3), &asked.report_data)?;
            Ok(Reply { report, auxiliary: None })
        })
    }
}
