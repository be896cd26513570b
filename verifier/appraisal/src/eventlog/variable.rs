//! UEFI variables in the log, and Secure Boot among them.

use super::{EventKind, EventLog};
use crate::claims::Claim;
use crate::layout::Layout;
use crate::tpm::HashAlgorithm;
use crate::tpm::buffer::Reader;

/// `EFI_GLOBAL_VARIABLE`, 8be4df61-93ca-11d2-aa0d-00e098032b8c, as it stands in memory.
const GLOBAL: [u8; 16] = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];

/// The variable that says whether Secure Boot is on (UEFI 2.10, 3.3).
const SECURE_BOOT: &str = "SecureBoot";

/// `UEFI_VARIABLE_DATA` (PFP 1.06, 10.4.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Vendor's GUID, as it stands in memory.
    pub guid: [u8; 16],
    /// Name, UTF-16 little-endian.
    name: &'a [u8],
    /// Contents.
    pub contents: &'a [u8],
}

impl<'a> Variable<'a> {
    /// Reads the data of a variable event; `None` if it is none, or has other ends.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new("UEFI_VARIABLE_DATA", data);
        let guid = reader.array().ok()?;
        let characters = usize::try_from(u64::from_le_bytes(reader.array().ok()?)).ok()?;
        let length = usize::try_from(u64::from_le_bytes(reader.array().ok()?)).ok()?;
        let name = reader.take(characters.checked_mul(2)?).ok()?;
        let contents = reader.take(length).ok()?;
        reader.finish().ok()?;
        Some(Self { guid, name, contents })
    }

    /// Name as text; what is no UTF-16 shows as U+FFFD.
    #[must_use]
    pub fn name(&self) -> String {
        utf16(self.name)
    }

    fn is_global(&self, name: &str) -> bool {
        self.guid == GLOBAL && self.name.iter().copied().eq(name.encode_utf16().flat_map(u16::to_le_bytes))
    }
}

/// Text of UTF-16 little-endian bytes, up to a NUL.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The state of Secure Boot as PCR 7 has it.
///
/// Firmware measures the variable `SecureBoot` first of all into PCR 7 (PFP 1.06, 3.3.4.8), before any code that it does not vouch for
/// has run. So only the *first* extended event of PCR 7 counts, and only if its digest is the hash of its data: everything later, and
/// every event's type, can be the work of whoever booted. True only after PCR 7 was compared with a quote.
#[must_use]
pub fn secure_boot(log: &EventLog<'_>, bank: HashAlgorithm) -> Claim<bool> {
    let Some(event) = log.events().iter().find(|event| event.pcr == 7 && event.is_extended()) else {
        return Claim::NotAppraised("nothing was measured into PCR 7");
    };
    if log.digest(event, bank) != Some(bank.digest(&[event.data]).as_ref()) {
        return Claim::NotAppraised("the first event of PCR 7 has other data than was measured");
    }
    match Variable::parse(event.data)
        .filter(|variable| variable.is_global(SECURE_BOOT) && event.kind == EventKind::EFI_VARIABLE_DRIVER_CONFIG)
    {
        Some(Variable { contents: [1], .. }) => Claim::Appraised(true),
        // A firmware without the variable measures it as empty.
        Some(Variable { contents: [0] | [], .. }) => Claim::Appraised(false),
        Some(_) => Claim::NotAppraised("the variable SecureBoot is neither 0 nor 1"),
        None => Claim::NotAppraised("the first event of PCR 7 is not the variable SecureBoot"),
    }
}

/// The state of Secure Boot as RTMR0 of a TD has it.
///
/// There the variable is not first: the host's description of the TD and of its firmware's volumes comes before. What the log says of an
/// event is whoever sends it to say, so an event is known here by its digest alone, which the register proves: the variable in each of its
/// states, and the separator that firmware measures when it has measured the variable, before any code that it does not vouch for has run
/// (PFP 1.06, 3.3.4.8), each come to one digest. It counts only if
///
/// - it is the only one in the whole register: firmware measures it always, so one that the host had measured in its place, as a table
///   with just these bytes, or that was extended later, is a second;
/// - it stands before the first separator: code that came later did not extend it for a firmware that has no Secure Boot.
///
/// True only after RTMR0 was compared with a quote.
#[must_use]
pub fn secure_boot_of_td(log: &EventLog<'_>, bank: HashAlgorithm) -> Claim<bool> {
    // A firmware without the variable measures it as empty.
    let states = [&[1][..], &[0], &[]].map(|contents| bank.digest(&[&secure_boot_variable(contents)]));
    let separators = [[0; 4], [0xff; 4]].map(|data| bank.digest(&[&data]));
    let register = u32::from(Layout::Td.secure_boot());
    let mut ended = false;
    let mut found = None;
    for event in log.events().iter().filter(|event| event.pcr == register && event.is_extended()) {
        let is = |known: &aws_lc_rs::digest::Digest| log.digest(event, bank) == Some(known.as_ref());
        ended |= separators.iter().any(is);
        match (states.iter().position(is), found) {
            (None, _) => {}
            (Some(_), Some(_)) => return Claim::NotAppraised("RTMR0 has the variable SecureBoot more than once"),
            (Some(_), None) if ended => return Claim::NotAppraised("RTMR0 has the variable SecureBoot behind the firmware's part"),
            (Some(state), None) => found = Some(state == 0),
        }
    }
    match found {
        Some(_) if !ended => Claim::NotAppraised("RTMR0 has no separator that ends the firmware's part"),
        Some(on) => Claim::Appraised(on),
        None => Claim::NotAppraised("RTMR0 does not have the variable SecureBoot as 0 or 1"),
    }
}

/// `UEFI_VARIABLE_DATA` of the global variable `SecureBoot`.
fn secure_boot_variable(contents: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = SECURE_BOOT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let [characters, length] = [name.len() / 2, contents.len()].map(|count| (count as u64).to_le_bytes());
    [&GLOBAL[..], &characters, &length, &name, contents].concat()
}
