//! CBOR (RFC 8949) as Nitro's documents and messages have it: definite lengths, in the fewest bytes.

/// Major types (3.1).
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
/// `null`.
pub(super) const NULL: u8 = 0xf6;

fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (kind, length) = match argument {
        0..24 => return vec![major << 5 | argument as u8],
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | kind], &bytes[8 - length..]].concat()
}

pub(super) fn unsigned(number: u64) -> Vec<u8> {
    head(UNSIGNED, number)
}

pub(super) fn bytes(value: &[u8]) -> Vec<u8> {
    [&head(BYTES, value.len() as u64)[..], value].concat()
}

pub(super) fn text(value: &str) -> Vec<u8> {
    [&head(TEXT, value.len() as u64)[..], value.as_bytes()].concat()
}

pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(ARRAY, items.len() as u64), items.concat()].concat()
}

pub(super) fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let entries_flat = entries.iter().flat_map(|(key, value)| [key.as_slice(), value].concat());
    head(MAP, entries.len() as u64).into_iter().chain(entries_flat).collect()
}

/// Reads items one after another; past the end, or at another type, there is nothing.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn argument(&mut self, major: u8) -> Option<usize> {
        let first = *self.0.first()?;
        if first >> 5 != major {
            return None;
        }
        self.take(1)?;
        let length = match first & 0x1f {
            short @ 0..24 => return Some(short.into()),
            24 => 1,
            25 => 2,
            26 => 4,
            _ => return None,
        };
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// How many entries a map has.
    pub(super) fn map(&mut self) -> Option<usize> {
        self.argument(MAP)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.argument(TEXT)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// A byte string, or `Some(None)` for `null`.
    pub(super) fn bytes_or_null(&mut self) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&NULL) {
            self.take(1)?;
            return Some(None);
        }
        let length = self.argument(BYTES)?;
        self.take(length).map(Some)
    }
}
