//! A walk over canonical bytes, item by item, for tests that alter each.

/// One item: head and body (for an array, everything in it).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) major: u8,
    pub(crate) value: u64,
    pub(crate) start: usize,
    pub(crate) body: usize,
    pub(crate) end: usize,
}

pub(crate) const BYTES: u8 = 2;
pub(crate) const TEXT: u8 = 3;
pub(crate) const ARRAY: u8 = 4;

/// Every item, the outermost first.
pub(crate) fn items(bytes: &[u8]) -> Vec<Item> {
    let mut out = Vec::new();
    assert_eq!(walk(bytes, 0, &mut out), bytes.len());
    out
}

fn walk(bytes: &[u8], start: usize, out: &mut Vec<Item>) -> usize {
    let (major, info) = (bytes[start] >> 5, bytes[start] & 0x1f);
    let extra = match info {
        0..=23 => 0,
        24..=27 => 1 << (info - 24),
        _ => panic!("not canonical at {start}"),
    };
    let body = start + 1 + extra;
    let value = if extra == 0 { u64::from(info) } else { bytes[start + 1..body].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) };
    let mine = out.len();
    out.push(Item { major, value, start, body, end: body });
    let end = match major {
        0 => body,
        BYTES | TEXT => body + usize::try_from(value).unwrap(),
        ARRAY => (0..value).fold(body, |at, _| walk(bytes, at, out)),
        _ => panic!("major type {major} at {start}"),
    };
    out[mine].end = end;
    end
}

/// A head of exactly `width` bytes after the first (0, 1, 2, 4, 8), minimal or not.
pub(crate) fn head(major: u8, value: u64, width: usize) -> Vec<u8> {
    let info = match width {
        0 => u8::try_from(value).unwrap(),
        1 => 24,
        2 => 25,
        4 => 26,
        _ => 27,
    };
    [&[major << 5 | info], &value.to_be_bytes()[8 - width..]].concat()
}

/// The shortest head.
pub(crate) fn shortest(major: u8, value: u64) -> Vec<u8> {
    let width = match value {
        0..=23 => 0,
        24..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    head(major, value, width)
}

impl Item {
    /// The message with this item's bytes replaced.
    pub(crate) fn replaced(&self, bytes: &[u8], by: &[u8]) -> Vec<u8> {
        [&bytes[..self.start], by, &bytes[self.end..]].concat()
    }

    /// The message with this item's head replaced.
    pub(crate) fn with_head(&self, bytes: &[u8], head: &[u8]) -> Vec<u8> {
        [&bytes[..self.start], head, &bytes[self.body..]].concat()
    }

    pub(crate) fn whole<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start..self.end]
    }

    pub(crate) fn content<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.body..self.end]
    }
}
