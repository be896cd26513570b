//! Events in words, for people: `explain` names the event that differs.

use super::variable::{Variable, utf16};
use super::{Event, EventKind};
use crate::tpm::HashAlgorithm;

/// An event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Type and what the data says, without control characters, bounded in length.
    pub text: String,
    /// Whether the digest is the hash of what the text tells. Where not, the text is only what the sender of the log claims.
    pub covered: bool,
}

/// Longest text that is taken from an event, in characters.
const LONGEST_TEXT: usize = 240;

/// GRUB measures the text behind these without them (EV_IPL in PCR 8).
const BOOT_LOADER_PREFIXES: &[&[u8]] = &[b"grub_cmd: ", b"kernel_cmdline: ", b"module_cmdline: "];

/// The bytes of the event that its digest is the hash of; `None` where the digest is of something that the log does not have.
#[must_use]
pub fn covered_bytes<'a>(event: &Event<'a>, bank: HashAlgorithm, digest: &[u8]) -> Option<&'a [u8]> {
    let is_hash = |bytes: &&'a [u8]| bank.digest(&[bytes]).as_ref() == digest;
    let data = event.data;
    if is_hash(&data) {
        return Some(data);
    }
    if let Some(variable) = Variable::parse(data) {
        return Some(variable.contents).filter(is_hash);
    }
    let text = data.strip_suffix(&[0]).unwrap_or(data);
    let bare = BOOT_LOADER_PREFIXES.iter().find_map(|prefix| text.strip_prefix(*prefix));
    [Some(text), bare].into_iter().flatten().find(is_hash)
}

/// Describes an event with its digest of `bank`.
#[must_use]
pub fn describe(event: &Event<'_>, bank: HashAlgorithm, digest: &[u8]) -> Description {
    let covered = covered_bytes(event, bank, digest).is_some();
    let told = match event.kind {
        EventKind::SEPARATOR => separator(event.data),
        EventKind::EFI_VARIABLE_DRIVER_CONFIG
        | EventKind::EFI_VARIABLE_BOOT
        | EventKind::EFI_VARIABLE_BOOT2
        | EventKind::EFI_VARIABLE_AUTHORITY => variable(event.data),
        EventKind(0x8000_0003..=0x8000_0005) => image(event.data),
        _ => text(event.data),
    };
    let told = told.unwrap_or_else(|| format!("{} bytes of data", event.data.len()));
    Description { text: format!("{}: {told}", event.kind), covered }
}

/// PFP 1.06, 10.4.1: 0 or 0xffffffff end a phase, 1 says that an error occurred.
fn separator(data: &[u8]) -> Option<String> {
    Some(match data {
        [0, 0, 0, 0] | [0xff, 0xff, 0xff, 0xff] => "end of the firmware's part".to_owned(),
        [1, 0, 0, 0] => "error while measuring".to_owned(),
        _ => return text(data),
    })
}

fn variable(data: &[u8]) -> Option<String> {
    let variable = Variable::parse(data)?;
    let name = printable(variable.name().chars())?;
    Some(match variable.contents {
        [byte] => format!("{name} = {byte}"),
        contents => format!("{name}, {} bytes", contents.len()),
    })
}

/// `UEFI_IMAGE_LOAD_EVENT` (PFP 1.06, 10.4.3): three words of place and size, then the device path; its file names are what people know.
fn image(data: &[u8]) -> Option<String> {
    let (_, after_place) = data.split_at_checked(24)?;
    let (size, mut path) = after_place.split_first_chunk::<8>()?;
    path = path.get(..usize::try_from(u64::from_le_bytes(*size)).ok()?)?;
    let mut names = String::new();
    // UEFI 2.10, 10.3.1: type, sub-type, length of the node with this header.
    while let [kind, sub_kind, low, high, ..] = *path {
        let (node, rest) = path.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        let (_, contents) = node.split_at_checked(4)?;
        // 10.3.5.4: media device path, file path.
        if (kind, sub_kind) == (4, 4) {
            names.push_str(&utf16(contents));
        }
        path = rest;
    }
    printable(names.chars())
}

/// ASCII or UTF-16 text, where the data is that throughout.
fn text(data: &[u8]) -> Option<String> {
    let bare = data.strip_suffix(&[0]).unwrap_or(data);
    if let Some(ascii) = std::str::from_utf8(bare).ok().filter(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace())) {
        return printable(ascii.chars());
    }
    let (units, odd) = data.as_chunks::<2>();
    let wide = odd.is_empty() && units.iter().all(|[low, high]| *high == 0 && (*low == 0 || low.is_ascii_graphic() || *low == b' '));
    wide.then(|| printable(utf16(data).chars())).flatten()
}

fn printable(characters: impl Iterator<Item = char>) -> Option<String> {
    let mut out = String::new();
    for (count, character) in characters.enumerate() {
        if count == LONGEST_TEXT {
            out.push('…');
            break;
        }
        out.push(if character.is_control() || is_invisible(character) { '\u{fffd}' } else { character });
    }
    (!out.is_empty()).then_some(out)
}

/// Characters that reorder or hide text on a terminal.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
