//! A measured boot: its events, the log that firmware would leave of them, and the registers that a TPM would hold.

use podseal_protocol::Digest;

pub(crate) const NO_ACTION: u32 = 3;
const SEPARATOR: u32 = 4;
const POST_CODE: u32 = 1;
const CRTM_VERSION: u32 = 8;
const IPL: u32 = 0x0d;
const DRIVER_CONFIG: u32 = 0x8000_0001;
const BOOT_VARIABLE: u32 = 0x8000_0002;
const APPLICATION: u32 = 0x8000_0003;

/// One event: register, type, and the data, which is also what was measured.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) pcr: u32,
    pub(crate) kind: u32,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn event(pcr: u32, kind: u32, data: &[u8]) -> Event {
    Event { pcr, kind, data: data.to_vec() }
}

/// `UEFI_VARIABLE_DATA` of a global variable (PFP 1.06, 10.4.2.5).
fn variable(name: &str, contents: &[u8]) -> Vec<u8> {
    let guid = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [&guid[..], &(name.len() as u64 / 2).to_le_bytes(), &(contents.len() as u64).to_le_bytes(), &name, contents].concat()
}

/// Firmware, Secure Boot, boot loader, kernel: every register from 0 to 9 has an event.
pub(crate) fn measured() -> Vec<Event> {
    let mut all = vec![
        event(0, CRTM_VERSION, b"firmware 4.2"),
        event(0, POST_CODE, b"main volume"),
        event(7, DRIVER_CONFIG, &variable("SecureBoot", &[1])),
        event(7, DRIVER_CONFIG, &variable("PK", &[0x50; 64])),
        event(7, DRIVER_CONFIG, &variable("KEK", &[0x4b; 64])),
        event(7, DRIVER_CONFIG, &variable("db", &[0xdb; 256])),
        event(7, DRIVER_CONFIG, &variable("dbx", &[0xbd; 512])),
        event(1, BOOT_VARIABLE, &variable("BootOrder", &[0, 0, 1, 0])),
        event(2, POST_CODE, b"network card's option ROM"),
    ];
    all.extend((0..8).map(|pcr| event(pcr, SEPARATOR, &[0; 4])));
    all.extend([
        event(4, APPLICATION, b"shim 15.8"),
        event(4, APPLICATION, b"grub 2.12"),
        event(4, APPLICATION, b"vmlinuz 6.12"),
        event(5, POST_CODE, b"partition table"),
        event(6, POST_CODE, b"maker's own"),
        event(8, IPL, b"grub_cmd: linux /vmlinuz root=/dev/sda1 ro quiet"),
        event(9, IPL, b"/initrd.img 6.12"),
    ]);
    all
}

/// The same with Secure Boot switched off.
pub(crate) fn without_secure_boot() -> Vec<Event> {
    let mut all = measured();
    all[2].data = variable("SecureBoot", &[0]);
    all
}

/// A crypto-agile log (PFP 1.06, 10.2) with SHA-256 digests.
pub(crate) fn log(events: &[Event]) -> Vec<u8> {
    let spec_id = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0b, 0, 32, 0, 0]].concat();
    let mut bytes = [0_u32, NO_ACTION].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    bytes.extend([0; 20]);
    bytes.extend(u32::try_from(spec_id.len()).unwrap().to_le_bytes());
    bytes.extend(spec_id);
    for event in events {
        bytes.extend([event.pcr, event.kind, 1].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend([0x0b, 0]);
        bytes.extend(Digest::of(&event.data).0);
        bytes.extend(u32::try_from(event.data.len()).unwrap().to_le_bytes());
        bytes.extend(&event.data);
    }
    bytes
}

/// What the registers 0 to 9 hold after these events.
pub(crate) fn registers(events: &[Event]) -> Vec<(u8, Digest)> {
    (0..10).map(|pcr| (pcr, register(events, pcr))).collect()
}

/// What one register holds after these events: PCR new = H(PCR old || digest) (TPM 2.0 Part 1, 17.3).
pub(crate) fn register(events: &[Event], pcr: u8) -> Digest {
    let own = events.iter().filter(|event| event.kind != NO_ACTION && event.pcr == u32::from(pcr));
    own.fold(Digest([0; 32]), |value, event| Digest::of(&[value.0, Digest::of(&event.data).0].concat()))
}
