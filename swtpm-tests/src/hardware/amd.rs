//! AMD's part: a root, an authority over chips, and chips that sign reports (AMD 57230 for certificates, 56860 for reports).

mod report;

use std::sync::Arc;

pub use report::{Firmware, SnpGuest};

use super::certificate::{Authority, Certificate, Extension, pem, pem_chain};
use super::der::{IA5, integer, name, oid, tlv};
use super::kernel::{Reply, Reporter};
use super::keys::{EvidenceKey, Scheme, random};
use super::moment::USUAL;
use crate::error::BenchError;

/// GUIDs of a certificate table (AMD 56421, 4.1.8.1), as RFC 9562 writes them: ARK, ASK, VCEK.
const ARK: u128 = 0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae;
const ASK: u128 = 0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782;
const VCEK: u128 = 0x63da_758d_e664_4564_adc5_f4b9_3be8_accd;
/// GUID, offset, length.
const ENTRY: usize = 24;

/// A generation of processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004.
    Genoa,
}

impl Product {
    /// The name in certificates and in the paths of AMD's service.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
        }
    }

    /// Family, model and stepping, as reports name them.
    fn cpuid(self) -> [u8; 3] {
        match self {
            Self::Milan => [0x19, 0x01, 1],
            Self::Genoa => [0x19, 0x11, 1],
        }
    }

    fn product_name(self) -> &'static str {
        match self {
            Self::Milan => "Milan-B0",
            Self::Genoa => "Genoa-B1",
        }
    }
}

/// A maker of chips of one generation: ARK and ASK, known to nobody else.
#[derive(Clone, Debug)]
pub struct Amd(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    product: Product,
    ark: Authority,
    ask: Authority,
}

/// A chip, with the key that its maker certified for its TCB.
#[derive(Clone, Debug)]
pub struct Chip {
    amd: Amd,
    /// The whole `CHIP_ID`.
    pub id: [u8; 64],
    /// The TCB that it runs, and that its key is for.
    pub firmware: Firmware,
    key: Arc<EvidenceKey>,
    vcek: Vec<u8>,
}

impl Amd {
    /// A maker of Milan.
    pub fn new() -> Result<Self, BenchError> {
        Self::of(Product::Milan)
    }

    /// A maker of this generation.
    pub fn of(product: Product) -> Result<Self, BenchError> {
        let organization = Some("Advanced Micro Devices of the bench");
        let ark = Authority::root(&format!("ARK-{}", product.as_str()), organization, Scheme::RsaPss)?;
        let ask = ark.below(&format!("SEV-{}", product.as_str()), organization)?;
        Ok(Self(Arc::new(Keys { product, ark, ask })))
    }

    /// The generation.
    pub fn product(&self) -> Product {
        self.0.product
    }

    /// The root's certificate, PEM: what a verifier is configured to trust.
    pub fn ark_pem(&self) -> String {
        pem("CERTIFICATE", &self.0.ark.certificate)
    }

    /// ASK and ARK, PEM, as `cert_chain` of AMD's service has them.
    pub fn chain_pem(&self) -> String {
        pem_chain(&[&self.0.ask.certificate, &self.0.ark.certificate])
    }

    /// The root's revocation list, DER, with this number; `revoked` puts the ASK on it.
    pub fn revocation_list(&self, number: u64, revoked: bool) -> Result<Vec<u8>, BenchError> {
        let revoked = if revoked { vec![self.0.ask.serial.clone()] } else { Vec::new() };
        self.0.ark.revocation_list(number, USUAL, &revoked)
    }

    /// A chip, with current firmware.
    pub fn chip(&self) -> Result<Chip, BenchError> {
        self.chip_with(Firmware::current())
    }

    /// A chip with this firmware.
    pub fn chip_with(&self, firmware: Firmware) -> Result<Chip, BenchError> {
        let (id, key) = (random::<64>()?, EvidenceKey::p384()?);
        let parts = [(1, firmware.boot_loader), (2, firmware.tee), (3, firmware.snp), (8, firmware.microcode)];
        let reserved = [4, 5, 6, 7].map(|part| (part, 0));
        let levels = parts.into_iter().chain(reserved).map(|(part, level)| extension(&[3, part], integer(level.into())));
        let product_name = tlv(IA5, &[self.0.product.product_name().as_bytes()]);
        let mut extensions = vec![extension(&[1], integer(0)), extension(&[2], product_name)];
        extensions.extend(levels.chain([extension(&[4], id.to_vec())]));
        let certificate = Certificate::new(name("SEV-VCEK", None), key.spki()?, extensions)?;
        Ok(Chip { amd: self.clone(), id, firmware, key: Arc::new(key), vcek: self.0.ask.issue(&certificate)? })
    }
}

/// An extension below AMD's 1.3.6.1.4.1.3704.1.
fn extension(rest: &[u64], value: Vec<u8>) -> Extension {
    Extension { oid: oid(&[&[1, 3, 6, 1, 4, 1, 3704, 1], rest].concat()), critical: false, value }
}

impl Chip {
    /// Its maker.
    pub fn amd(&self) -> &Amd {
        &self.amd
    }

    /// The certificate of its key, DER.
    pub fn vcek(&self) -> &[u8] {
        &self.vcek
    }

    /// A report of `guest` over `report_data`: 1184 bytes, signed.
    pub fn report(&self, guest: &SnpGuest, report_data: &[u8; 64]) -> Result<Vec<u8>, BenchError> {
        let mut report = guest.lay_out(report_data, &self.firmware, self.amd.product().cpuid(), &self.id);
        self.sign(&mut report)?;
        Ok(report)
    }

    /// What makes reports of `guest` for whoever asks its kernel, each at the privilege level that is asked for.
    pub fn reporter(&self, guest: &SnpGuest) -> Reporter {
        let (chip, guest) = (self.clone(), guest.clone());
        Box::new(move |asked| {
            let report = chip.report(&SnpGuest { vmpl: asked.privlevel, ..guest.clone() }, &asked.report_data)?;
            Ok(Reply { report, auxiliary: Some(chip.table()) })
        })
    }

    /// Signs a report anew, after a test wrote other things into it (AMD 56860, table 23, SIGNATURE, and 7.3).
    pub fn sign(&self, report: &mut [u8]) -> Result<(), BenchError> {
        let signature = self.key.sign(&report[..report::SIGNED])?;
        report::put_signature(report, &signature);
        Ok(())
    }

    /// The host's table of certificates: VCEK, ASK, ARK. configfs-tsm has it as `auxblob`.
    pub fn table(&self) -> Vec<u8> {
        let Keys { ark, ask, .. } = &*self.amd.0;
        let entries = [(VCEK, self.vcek.as_slice()), (ASK, &ask.certificate), (ARK, &ark.certificate)];
        let mut offset = (entries.len() + 1) * ENTRY;
        let (mut headers, mut certificates) = (Vec::new(), Vec::new());
        for (guid, certificate) in entries {
            headers.extend(guid.to_be_bytes());
            headers.extend((offset as u32).to_le_bytes());
            headers.extend((certificate.len() as u32).to_le_bytes());
            certificates.extend_from_slice(certificate);
            offset += certificate.len();
        }
        headers.extend([0; ENTRY]);
        [headers, certificates].concat()
    }
}
