//! Event logs byte by byte, and the registers that they lead to, computed apart from the crate's replay.

use crate::eventlog::{LogError, ReplayedLog};
use crate::layout::Layout;
use crate::tpm::PcrValues;
use podseal_protocol::{Bank, Limits};
use sha2::{Digest as _, Sha256, Sha384};

pub(super) const SEPARATOR: u32 = 4;
pub(super) const IPL: u32 = 0x0d;
pub(super) const DRIVER_CONFIG: u32 = 0x8000_0001;

/// One event to be: register, type, what is measured, what the log says.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) pcr: u32,
    pub(super) kind: u32,
    pub(super) measured: Vec<u8>,
    pub(super) data: Vec<u8>,
}

pub(super) fn entry(pcr: u32, kind: u32, data: &[u8]) -> Entry {
    Entry { pcr, kind, measured: data.to_vec(), data: data.to_vec() }
}

pub(super) fn variable(name: &str, contents: &[u8]) -> Vec<u8> {
    let guid = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c];
    let name = name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    [&guid[..], &(name.len() as u64 / 2).to_le_bytes(), &(contents.len() as u64).to_le_bytes(), &name, contents].concat()
}

/// A boot of four stages with Secure Boot on.
pub(super) fn boot() -> Vec<Entry> {
    let mut kernel = entry(8, IPL, b"grub_cmd: linux /vmlinuz root=/dev/sda1\0");
    kernel.measured = b"linux /vmlinuz root=/dev/sda1".to_vec();
    vec![
        entry(0, 8, b"firmware 1.2"),
        entry(7, DRIVER_CONFIG, &variable("SecureBoot", &[1])),
        entry(7, SEPARATOR, &[0; 4]),
        kernel,
        entry(9, IPL, b"initrd"),
    ]
}

fn header(algorithms: &[(u16, u16)]) -> Vec<u8> {
    let mut data = [b"Spec ID Event03\0", &[0, 0, 0, 0, 0, 2, 0, 2][..], &u32::try_from(algorithms.len()).unwrap().to_le_bytes()].concat();
    data.extend(algorithms.iter().flat_map(|(id, size)| [id.to_le_bytes(), size.to_le_bytes()].concat()));
    data.push(0);
    sha1_event(0, 3, &data)
}

pub(super) fn sha1_event(pcr: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 20], &u32::try_from(data.len()).unwrap().to_le_bytes(), data].concat()
}

fn hash(bank: Bank, bytes: &[u8]) -> Vec<u8> {
    match bank {
        Bank::Sha256 => Sha256::digest(bytes).to_vec(),
        Bank::Sha384 => Sha384::digest(bytes).to_vec(),
    }
}

fn event(bank: Bank, entry: &Entry) -> Vec<u8> {
    let mut out = [entry.pcr, entry.kind, 1].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    out.extend(match bank {
        Bank::Sha256 => [0x0b, 0],
        Bank::Sha384 => [0x0c, 0],
    });
    out.extend(hash(bank, &entry.measured));
    out.extend(u32::try_from(entry.data.len()).unwrap().to_le_bytes());
    out.extend(&entry.data);
    out
}

pub(super) fn log_with_header(algorithms: &[(u16, u16)], entries: &[Entry]) -> Vec<u8> {
    [header(algorithms), entries.iter().flat_map(|entry| event(Bank::Sha256, entry)).collect()].concat()
}

pub(super) fn log_in(bank: Bank, entries: &[Entry]) -> Vec<u8> {
    let algorithm = match bank {
        Bank::Sha256 => (0x0b, 32),
        Bank::Sha384 => (0x0c, 48),
    };
    [header(&[algorithm]), entries.iter().flat_map(|entry| event(bank, entry)).collect()].concat()
}

pub(super) fn log(entries: &[Entry]) -> Vec<u8> {
    log_in(Bank::Sha256, entries)
}

/// What a TPM that started in `locality` holds after these measurements, registers 0 to 9 and 14.
pub(super) fn registers(entries: &[Entry], locality: u8) -> PcrValues {
    registers_in(Bank::Sha256, (0..10).chain([14]), entries, locality)
}

pub(super) fn registers_in(bank: Bank, quotes: impl Iterator<Item = u8>, entries: &[Entry], locality: u8) -> PcrValues {
    let size = hash(bank, b"").len();
    let mut values = vec![vec![0; size]; 24];
    values[0][size - 1] = locality;
    for entry in entries.iter().filter(|entry| entry.kind != 3) {
        let value = &mut values[entry.pcr as usize];
        *value = hash(bank, &[&value[..], &hash(bank, &entry.measured)].concat());
    }
    let mut quoted = PcrValues::new(bank);
    for index in quotes {
        assert!(quoted.insert(index, &values[usize::from(index)]));
    }
    quoted
}

pub(super) fn replay(bytes: &[u8]) -> Result<ReplayedLog, LogError> {
    ReplayedLog::replay(bytes, Bank::Sha256, Layout::Tpm, &Limits::DEFAULT)
}

pub(super) fn replay_td(bytes: &[u8]) -> Result<ReplayedLog, LogError> {
    ReplayedLog::replay(bytes, Bank::Sha384, Layout::Td, &Limits::DEFAULT)
}
