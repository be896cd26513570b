//! The measured boot of a plausible Linux server, as its firmware, boot loader and kernel stub would have logged and extended it.
//!
//! A [`Boot`] says what the machine started; [`Boot::events`] turns that into events; [`encode`] writes them as a crypto-agile TCG event log
//! (TCG PC Client Platform Firmware Profile 1.06, section 10) and [`extend`] puts their digests into a TPM. Nothing here is shared with what appraises logs.

use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, digest};

use crate::error::BenchError;
use crate::raw_tpm::{Bank, RawTpm};

mod uefi;

pub use uefi::Certificate;

/// Event types (PFP 1.06, table 27).
pub mod event_type {
    #![allow(missing_docs)]
    pub const NO_ACTION: u32 = 0x3;
    pub const SEPARATOR: u32 = 0x4;
    pub const S_CRTM_VERSION: u32 = 0x8;
    pub const IPL: u32 = 0xD;
    pub const EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
    pub const EFI_VARIABLE_BOOT: u32 = 0x8000_0002;
    pub const EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
    pub const EFI_ACTION: u32 = 0x8000_0007;
    pub const EFI_PLATFORM_FIRMWARE_BLOB2: u32 = 0x8000_000A;
    pub const EFI_VARIABLE_AUTHORITY: u32 = 0x8000_00E0;
}
use event_type as ev;

/// What a machine starts. Clone one and change a field to get the machine that differs in just that.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The firmware's version (PCR 0).
    pub firmware_version: String,
    /// The firmware's code (PCR 0).
    pub firmware: Vec<u8>,
    /// Whether the firmware enforces signatures (PCR 7).
    pub secure_boot: bool,
    /// PK (PCR 7).
    pub platform_key: Certificate,
    /// KEK (PCR 7).
    pub key_exchange_key: Certificate,
    /// db: who may sign boot loaders (PCR 7). The first one signed this machine's.
    pub allowed_signers: Vec<Certificate>,
    /// dbx: SHA-256 digests of images that may not start (PCR 7).
    pub forbidden_images: Vec<[u8; 32]>,
    /// The boot entry's description (PCR 1).
    pub boot_entry: String,
    /// The boot loader's image (PCR 4).
    pub loader: Vec<u8>,
    /// The kernel's release, as it appears in paths.
    pub kernel_release: String,
    /// The kernel's image (PCR 4 and 9).
    pub kernel: Vec<u8>,
    /// What the boot loader hands to the kernel (PCR 8).
    pub command_line: String,
    /// The initial RAM disk (PCR 9).
    pub initrd: Vec<u8>,
}

/// One measurement: the log says `data`, the PCR gets the digest of `measured`.
#[derive(Clone, Debug)]
pub struct Event {
    /// The register.
    pub pcr: u32,
    /// One of [`event_type`].
    pub kind: u32,
    /// What stands in the log.
    pub data: Vec<u8>,
    /// What was hashed.
    pub measured: Vec<u8>,
}

impl Event {
    /// The digest that goes into `bank`.
    pub fn digest(&self, bank: Bank) -> Vec<u8> {
        let algorithm = match bank {
            Bank::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Bank::Sha256 => &SHA256,
            Bank::Sha384 => &SHA384,
        };
        digest(algorithm, &self.measured).as_ref().to_vec()
    }

    fn of_data(pcr: u32, kind: u32, data: Vec<u8>) -> Self {
        Self { pcr, kind, measured: data.clone(), data }
    }

    fn of_other(pcr: u32, kind: u32, data: Vec<u8>, measured: &[u8]) -> Self {
        Self { pcr, kind, data, measured: measured.to_vec() }
    }

    /// As GRUB measures a string: logged with a prefix and a NUL, hashed without.
    fn ipl(pcr: u32, prefix: &str, text: &str) -> Self {
        Self::of_other(pcr, ev::IPL, format!("{prefix}{text}\0").into_bytes(), text.as_bytes())
    }
}

impl Boot {
    /// A server under Secure Boot, with code and keys that no other run has.
    pub fn new() -> Result<Self, BenchError> {
        Ok(Self {
            firmware_version: "1.14.3".into(),
            firmware: random(4096)?,
            secure_boot: true,
            platform_key: Certificate::new("Bench Servers Platform Key")?,
            key_exchange_key: Certificate::new("Bench Servers Key Exchange Key")?,
            allowed_signers: vec![Certificate::new("Bench Linux Secure Boot Signer")?],
            forbidden_images: vec![random(32)?.try_into().unwrap_or([0; 32])],
            boot_entry: "bench-linux".into(),
            loader: random(2048)?,
            kernel_release: "6.12.30-cloud-amd64".into(),
            kernel: random(8192)?,
            command_line: "root=/dev/mapper/root ro console=ttyS0 panic=10 systemd.verity=yes".into(),
            initrd: random(4096)?,
        })
    }

    /// The measurements of this boot, in order.
    pub fn events(&self) -> Vec<Event> {
        let mut events = self.firmware_events();
        events.extend(self.secure_boot_events());
        events.extend(self.boot_variable_events());
        events.push(Event::of_data(4, ev::EFI_ACTION, b"Calling EFI Application from Boot Option".to_vec()));
        events.extend((0..7).map(separator));
        events.extend(self.loader_events());
        for action in ["Exit Boot Services Invocation", "Exit Boot Services Returned with Success"] {
            events.push(Event::of_data(5, ev::EFI_ACTION, action.into()));
        }
        events
    }

    /// Boots a machine: extends everything into the TPM and writes the log file.
    pub fn measure(&self, tpm: &mut RawTpm, banks: &[Bank], log: &Path) -> Result<(), BenchError> {
        let events = self.events();
        extend(&events, banks, tpm)?;
        fs::write(log, encode(&events, banks)).map_err(BenchError::io(format!("write {}", log.display())))
    }

    fn firmware_events(&self) -> Vec<Event> {
        let blob = uefi::firmware_blob("FvMain", 0xFF80_0000, self.firmware.len());
        vec![
            Event::of_data(0, ev::S_CRTM_VERSION, uefi::utf16_nul(&self.firmware_version)),
            Event::of_other(0, ev::EFI_PLATFORM_FIRMWARE_BLOB2, blob, &self.firmware),
        ]
    }

    fn secure_boot_events(&self) -> Vec<Event> {
        let allowed: Vec<u8> = self.allowed_signers.iter().flat_map(Certificate::signature_list).collect();
        let variables = [
            (uefi::GLOBAL, "SecureBoot", vec![u8::from(self.secure_boot)]),
            (uefi::GLOBAL, "PK", self.platform_key.signature_list()),
            (uefi::GLOBAL, "KEK", self.key_exchange_key.signature_list()),
            (uefi::IMAGE_SECURITY, "db", allowed),
            (uefi::IMAGE_SECURITY, "dbx", uefi::digest_list(&self.forbidden_images)),
        ];
        let mut events: Vec<Event> = variables
            .into_iter()
            .map(|(vendor, name, value)| Event::of_data(7, ev::EFI_VARIABLE_DRIVER_CONFIG, uefi::variable(vendor, name, &value)))
            .collect();
        events.push(separator(7));
        events
    }

    fn boot_variable_events(&self) -> Vec<Event> {
        let entry = uefi::load_option(&self.boot_entry);
        [("BootOrder", vec![0, 0]), ("Boot0000", entry)]
            .into_iter()
            .map(|(name, value)| Event::of_other(1, ev::EFI_VARIABLE_BOOT, uefi::variable(uefi::GLOBAL, name, &value), &value))
            .collect()
    }

    fn loader_events(&self) -> Vec<Event> {
        let kernel_path = format!("/boot/vmlinuz-{}", self.kernel_release);
        let initrd_path = format!("/boot/initrd.img-{}", self.kernel_release);
        let started = format!("{kernel_path} {}", self.command_line);
        let signer = self.allowed_signers.first().filter(|_| self.secure_boot);
        let mut events: Vec<Event> = signer
            .map(|signer| {
                Event::of_data(7, ev::EFI_VARIABLE_AUTHORITY, uefi::variable(uefi::IMAGE_SECURITY, "db", &signer.signature_data()))
            })
            .into_iter()
            .collect();
        events.extend([
            Event::of_other(
                4,
                ev::EFI_BOOT_SERVICES_APPLICATION,
                uefi::image_load("\\EFI\\bench\\grubx64.efi", self.loader.len()),
                &self.loader,
            ),
            Event::ipl(8, "grub_cmd: ", &format!("linux {started}")),
            Event::of_other(9, ev::IPL, format!("{kernel_path}\0").into_bytes(), &self.kernel),
            Event::ipl(8, "kernel_cmdline: ", &started),
            Event::of_other(4, ev::EFI_BOOT_SERVICES_APPLICATION, uefi::image_load(&kernel_path, self.kernel.len()), &self.kernel),
            Event::ipl(8, "grub_cmd: ", &format!("initrd {initrd_path}")),
            Event::of_other(9, ev::IPL, format!("{initrd_path}\0").into_bytes(), &self.initrd),
        ]);
        events
    }
}

fn separator(pcr: u32) -> Event {
    Event::of_data(pcr, ev::SEPARATOR, vec![0; 4])
}

/// Extends each event's digests into the TPM, which must have these banks.
pub fn extend(events: &[Event], banks: &[Bank], tpm: &mut RawTpm) -> Result<(), BenchError> {
    events.iter().try_for_each(|event| {
        let digests: Vec<_> = banks.iter().map(|bank| (*bank, event.digest(*bank))).collect();
        tpm.pcr_extend(event.pcr, &digests)
    })
}

/// The log's bytes: a `Spec ID Event03` header, then one TCG_PCR_EVENT2 per event (PFP 1.06, sections 10.2 and 10.4.5.1).
pub fn encode(events: &[Event], banks: &[Bank]) -> Vec<u8> {
    let mut log = header(banks);
    for event in events {
        log.extend(event.pcr.to_le_bytes());
        log.extend(event.kind.to_le_bytes());
        log.extend((banks.len() as u32).to_le_bytes());
        for bank in banks {
            log.extend(bank.algorithm().to_le_bytes());
            log.extend(event.digest(*bank));
        }
        log.extend((event.data.len() as u32).to_le_bytes());
        log.extend(&event.data);
    }
    log
}

fn header(banks: &[Bank]) -> Vec<u8> {
    let mut spec_id = b"Spec ID Event03\0".to_vec();
    spec_id.extend(0u32.to_le_bytes()); // platformClass: client
    spec_id.extend([0, 2, 106, 2]); // specVersionMinor, specVersionMajor, specErrata, uintnSize (64-bit)
    spec_id.extend((banks.len() as u32).to_le_bytes());
    for bank in banks {
        spec_id.extend(bank.algorithm().to_le_bytes());
        spec_id.extend(bank.digest_size().to_le_bytes());
    }
    spec_id.push(0); // vendorInfoSize
    let mut event = 0u32.to_le_bytes().to_vec();
    event.extend(ev::NO_ACTION.to_le_bytes());
    event.extend([0; 20]);
    event.extend((spec_id.len() as u32).to_le_bytes());
    event.extend(spec_id);
    event
}

fn random(length: usize) -> Result<Vec<u8>, BenchError> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| BenchError::answer("the random generator", "nothing", "random bytes"))?;
    Ok(bytes)
}
