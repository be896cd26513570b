//! The makers of a site's hardware other than plain TPMs: what a verifier trusts of them, and what machines they make.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA384, digest};
use podseal_protocol::Profile;

use crate::bootlog::{self, Boot, Event};
use crate::error::BenchError;
use crate::hardware::amazon::Amazon;
use crate::hardware::amd::{Amd, Chip, SnpGuest};
use crate::hardware::intel::{Collateral, Intel, Platform, Td};
use crate::hardware::kernel::{BootLog, Driver, GuestKernel};
use crate::hardware::microsoft::AzureVtpm;
use crate::hardware::nitro_tpm::NitroTpmProxy;
use crate::hardware::services::Services;
use crate::raw_tpm::Bank;
use crate::swtpm::Swtpm;
use crate::tpm_proxy::TpmProxy;

/// Everything that is sold, and the service that says what it is worth.
#[derive(Debug)]
pub struct Makers {
    /// SEV-SNP, also below Azure's VMs.
    pub amd: Amd,
    /// The one machine that AMD's chip is in.
    pub chip: Chip,
    /// TDX.
    pub intel: Intel,
    /// The one platform of Intel's.
    pub platform: Platform,
    /// Nitro.
    pub amazon: Amazon,
    /// What AMD and Intel publish.
    pub services: Services,
    roots: PathBuf,
}

impl Makers {
    /// New makers, whose roots lie in `dir`.
    pub fn new(dir: &Path) -> Result<Self, BenchError> {
        let (amd, intel, amazon, services) = (Amd::new()?, Intel::new()?, Amazon::new()?, Services::start()?);
        let (chip, platform) = (amd.chip()?, intel.platform()?);
        services.publish_chip(&chip);
        services.publish_intel(&intel, Collateral::current());
        let roots = dir.join("roots");
        fs::create_dir_all(&roots).map_err(BenchError::io("make the folder of roots"))?;
        for (name, pem) in [("amd.pem", amd.ark_pem()), ("intel.pem", intel.root_pem()), ("amazon.pem", amazon.root_pem())] {
            fs::write(roots.join(name), pem).map_err(BenchError::io(format!("write {name}")))?;
        }
        Ok(Self { amd, chip, intel, platform, amazon, services, roots })
    }

    /// What a verifier's configuration has of them: their roots, which count as test roots, and the services.
    pub fn config(&self) -> String {
        format!("[hardware]\nroots = \"{}\"\n\n{}", self.roots.display(), self.services.config())
    }

    /// The folder of their roots.
    pub fn roots(&self) -> &Path {
        &self.roots
    }

    /// Builds the machine of `profile` that boots as `boot`, in `dir` and on `tpm`.
    pub(super) fn build(&self, profile: Profile, dir: &Path, tpm: &Swtpm, boot: &Boot) -> Result<Fitted, BenchError> {
        let guest = dir.join("guest");
        Ok(match profile {
            Profile::Tpm => Fitted::Tpm(None),
            Profile::Snp => {
                let mut chip = self.chip.reporter(&SnpGuest { report_id: random()?, ..SnpGuest::honest() });
                let table = self.chip.table();
                // As a host that has the certificates gives them.
                let reporter = Box::new(move |asked: &_| {
                    chip(asked).map(|reply| crate::hardware::kernel::Reply { auxiliary: Some(table.clone()), ..reply })
                });
                Fitted::Guest(GuestKernel::mount(&guest, Driver::SevGuest, None, reporter)?)
            }
            Profile::Tdx => {
                let (td, log) = td(boot);
                Fitted::Guest(GuestKernel::mount(&guest, Driver::TdxGuest, Some(log), self.platform.reporter(&td))?)
            }
            Profile::AzureSnp => Fitted::Azure(AzureVtpm::start(tpm, &self.chip, &azure_guest(), &vm_id()?)?),
            Profile::NitroTpm => Fitted::Nitro(NitroTpmProxy::start(tpm.port(), &self.amazon, &format!("i-{}", vm_id()?))?),
        })
    }
}

/// A guest as Azure starts it; its launch is what `Site::trust_machines` knows.
pub fn azure_guest() -> SnpGuest {
    AzureVtpm::guest()
}

/// The hardware around a machine's TPM, or in its place.
#[derive(Debug)]
pub enum Fitted {
    /// None; perhaps an attacker's proxy before the TPM.
    Tpm(Option<TpmProxy>),
    /// A guest's kernel, which has reports.
    Guest(GuestKernel),
    /// Azure's paravisor.
    Azure(AzureVtpm),
    /// The Nitro hypervisor.
    Nitro(NitroTpmProxy),
}

impl Fitted {
    /// What stands before the TPM.
    pub fn proxy(&self) -> Option<&TpmProxy> {
        match self {
            Self::Tpm(proxy) => proxy.as_ref(),
            Self::Guest(_) => None,
            Self::Azure(vtpm) => Some(vtpm.proxy()),
            Self::Nitro(nitro) => Some(nitro.proxy()),
        }
    }

    /// What an attester's configuration has of it under `[evidence]`.
    pub(super) fn config(&self, dir: &Path) -> String {
        let key = dir.join("node-key");
        match self {
            Self::Tpm(_) | Self::Nitro(_) => String::new(),
            // No paravisor is waited for here.
            Self::Azure(_) => "\n[evidence]\nazure_wait_ms = 100\n".to_owned(),
            Self::Guest(kernel) => {
                let paths = [
                    ("key", key),
                    ("tsm", kernel.reports()),
                    ("rtmr", kernel.rtmr()),
                    ("ccel", kernel.ccel()),
                    ("ccel_table", kernel.ccel_table()),
                ];
                let lines = paths.map(|(name, path)| format!("{name} = \"{}\"\n", path.display()));
                format!("\n[evidence]\n{}", lines.concat())
            }
        }
    }
}

/// A TD that boots as `boot`, and the log of that: what a TPM has in PCR 0 is MRTD's, the others go where UEFI 2.10, 38.4.1 puts them.
pub fn td(boot: &Boot) -> (Td, BootLog) {
    let events = td_events(boot);
    let mut rtmrs: BTreeMap<u32, [u8; 48]> = BTreeMap::new();
    for event in &events {
        let value = rtmrs.entry(event.pcr).or_insert([0; 48]);
        let extended = digest(&SHA384, &[value.as_slice(), &event.digest(Bank::Sha384)].concat());
        value.copy_from_slice(extended.as_ref());
    }
    let mut td = Td::honest();
    for (register, value) in rtmrs {
        if let Some(rtmr) = (register as usize).checked_sub(1).and_then(|at| td.rtmrs.get_mut(at)) {
            *rtmr = value;
        }
    }
    (td, BootLog { table: ccel_table(), log: bootlog::encode(&events, &[Bank::Sha384]) })
}

fn td_events(boot: &Boot) -> Vec<Event> {
    let register = |pcr| match pcr {
        0 => None,
        1 | 7 => Some(1),
        2..=6 => Some(2),
        _ => Some(3),
    };
    boot.events().into_iter().filter_map(|event| Some(Event { pcr: register(event.pcr)?, ..event })).collect()
}

/// The ACPI table that points to a log (ACPI 6.5, 5.2.36): 56 bytes that sum up to zero.
fn ccel_table() -> Vec<u8> {
    let mut table = b"CCEL".to_vec();
    table.extend(56u32.to_le_bytes());
    // Revision and checksum; OEM and creator are nobody's. Type 2 is TDX.
    table.resize(36, 0);
    table.extend([2, 0, 0, 0]);
    table.extend(0x1_0000u64.to_le_bytes());
    table.extend(0x7f00_0000u64.to_le_bytes());
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if let Some(checksum) = table.get_mut(9) {
        *checksum = 0u8.wrapping_sub(sum);
    }
    table
}

fn random<const N: usize>() -> Result<[u8; N], BenchError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| BenchError::answer("the random generator", "nothing", "random bytes"))?;
    Ok(bytes)
}

fn vm_id() -> Result<String, BenchError> {
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
