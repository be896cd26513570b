//! A strict subset of CBOR (RFC 8949): unsigned integers, byte strings, text strings and arrays, in their only canonical form.
//!
//! Heads are minimal, lengths definite, nothing follows the outermost item; maps, tags, floats, negative and simple values don't exist.
//! So every value has exactly one encoding, and the bytes that were received are the bytes that get hashed.

use core::fmt;

use crate::{Digest, Limits};

/// Why bytes are not what they should be: where, and what was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The item that was being read (`leaf.salt`).
    pub item: &'static str,
    /// Offset of the first byte of that item within the message.
    pub at: usize,
    /// What was wrong.
    pub problem: Problem,
}

/// What was wrong with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The bytes end within the item.
    Truncated,
    /// Another major type than wanted.
    WrongType,
    /// A length or integer not in its shortest form, or an indefinite length.
    NotMinimal,
    /// Longer than the limit for this item.
    TooLong,
    /// Another number of elements, or another length, than wanted.
    WrongLength,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Another domain string: bytes of one kind where another was wanted.
    WrongDomain,
    /// Bytes after the end.
    Trailing,
    /// A value outside what the item allows.
    WrongValue,
    /// Elements not in the order wanted, or twice.
    NotSorted,
    /// Two elements of one name in a list whose order is free.
    Twice,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::Truncated => "the bytes end within it",
            Problem::WrongType => "it has another CBOR type than wanted",
            Problem::NotMinimal => "its head is not in the shortest form",
            Problem::TooLong => "it is longer than allowed",
            Problem::WrongLength => "it has another length than wanted",
            Problem::NotUtf8 => "it is not UTF-8",
            Problem::WrongDomain => "it is a message of another kind",
            Problem::Trailing => "bytes follow it",
            Problem::WrongValue => "its value is not allowed",
            Problem::NotSorted => "its elements are not sorted and unique",
            Problem::Twice => "it has two elements of one name",
        };
        write!(f, "malformed {} at byte {}: {problem}", self.item, self.at)
    }
}

impl core::error::Error for Malformed {}

const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;

/// Longest domain string that is read, in bytes; those of this protocol have at most 28.
const DOMAIN_LENGTH: usize = 64;

/// Writes the strict subset.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// Begins a message: an array of `elements` (its domain string included) that opens with `domain`.
    #[must_use]
    pub fn message(domain: &'static str, elements: u64) -> Self {
        Self::default().array(elements).text(domain)
    }

    /// As [`Encoder::message`] with room for `capacity` bytes, so that no plaintext is left behind in memory by growing.
    #[must_use]
    pub fn message_of(capacity: usize, domain: &'static str, elements: u64) -> Self {
        Self { out: Vec::with_capacity(capacity) }.array(elements).text(domain)
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        let bytes = value.to_be_bytes();
        match value {
            0..=23 => self.out.push(major | bytes[7]),
            24..=0xff => self.out.extend_from_slice(&[major | 24, bytes[7]]),
            0x100..=0xffff => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&bytes[6..]);
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    /// An array head; `elements` items must follow.
    #[must_use]
    pub fn array(mut self, elements: u64) -> Self {
        self.head(ARRAY, elements);
        self
    }

    /// An unsigned integer.
    #[must_use]
    pub fn uint(mut self, value: u64) -> Self {
        self.head(UINT, value);
        self
    }

    /// A byte string.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.head(BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
        self
    }

    /// A digest, as a byte string of 32.
    #[must_use]
    pub fn digest(self, value: &Digest) -> Self {
        self.bytes(&value.0)
    }

    /// A text string.
    #[must_use]
    pub fn text(mut self, value: &str) -> Self {
        self.head(TEXT, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
        self
    }

    /// An array of whatever `each` writes for every item.
    #[must_use]
    pub fn list<T>(self, items: &[T], each: impl Fn(Self, &T) -> Self) -> Self {
        items.iter().fold(self.array(items.len() as u64), each)
    }

    /// The finished bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Reads the strict subset, front to back. Every length is checked against a limit before anything is taken.
#[derive(Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Opens a message: at most `limits.message` bytes, an array of exactly `elements` that opens with `domain`.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are too long, of another shape or of another domain.
    pub fn message(bytes: &'a [u8], domain: &'static str, elements: u64, limits: &Limits) -> Result<Self, Malformed> {
        let mut this = Self { bytes, at: 0 };
        this.check(domain, 0, bytes.len() <= limits.message, Problem::TooLong)?;
        this.array(domain, elements)?;
        let at = this.at;
        let found = this.text(domain, DOMAIN_LENGTH)?;
        this.check(domain, at, found == domain, Problem::WrongDomain)?;
        Ok(this)
    }

    fn check(&self, item: &'static str, at: usize, holds: bool, problem: Problem) -> Result<(), Malformed> {
        if holds { Ok(()) } else { Err(Malformed { item, at, problem }) }
    }

    fn take(&mut self, item: &'static str, start: usize, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length);
        let slice = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(Malformed { item, at: start, problem: Problem::Truncated })?;
        self.at += length;
        Ok(slice)
    }

    fn head(&mut self, item: &'static str, major: u8) -> Result<u64, Malformed> {
        let at = self.at;
        let first = self.take(item, at, 1)?.first().copied().unwrap_or_default();
        self.check(item, at, first >> 5 == major, Problem::WrongType)?;
        let (extra, floor) = match first & 0x1f {
            short @ 0..=23 => return Ok(u64::from(short)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(Malformed { item, at, problem: Problem::NotMinimal }),
        };
        let value = self.take(item, at, extra)?.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        self.check(item, at, value >= floor, Problem::NotMinimal)?;
        Ok(value)
    }

    /// An array of exactly `elements`.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn array(&mut self, item: &'static str, elements: u64) -> Result<(), Malformed> {
        let at = self.at;
        let found = self.head(item, ARRAY)?;
        self.check(item, at, found == elements, Problem::WrongLength)
    }

    /// An array of one of the lengths in `allowed`; says which.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn array_of(&mut self, allowed: &[u64], item: &'static str) -> Result<u64, Malformed> {
        let at = self.at;
        let found = self.head(item, ARRAY)?;
        self.check(item, at, allowed.contains(&found), Problem::WrongLength)?;
        Ok(found)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn uint(&mut self, item: &'static str) -> Result<u64, Malformed> {
        self.head(item, UINT)
    }

    /// An unsigned integer not above `most`.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn uint_up_to(&mut self, item: &'static str, most: u64) -> Result<u64, Malformed> {
        let at = self.at;
        let value = self.uint(item)?;
        self.check(item, at, value <= most, Problem::WrongValue)?;
        Ok(value)
    }

    /// A byte string of at most `most` bytes.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn bytes(&mut self, item: &'static str, most: usize) -> Result<&'a [u8], Malformed> {
        self.string(item, BYTES, most)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn exact<const N: usize>(&mut self, item: &'static str) -> Result<[u8; N], Malformed> {
        let at = self.at;
        self.bytes(item, N)?.try_into().map_err(|_| Malformed { item, at, problem: Problem::WrongLength })
    }

    /// A digest.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a byte string of 32.
    pub fn digest(&mut self, item: &'static str) -> Result<Digest, Malformed> {
        self.exact(item).map(Digest)
    }

    /// A text string of at most `most` bytes.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn text(&mut self, item: &'static str, most: usize) -> Result<&'a str, Malformed> {
        let at = self.at;
        core::str::from_utf8(self.string(item, TEXT, most)?).map_err(|_| Malformed { item, at, problem: Problem::NotUtf8 })
    }

    fn string(&mut self, item: &'static str, major: u8, most: usize) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let length = self.head(item, major)?;
        self.check(item, at, length <= most as u64, Problem::TooLong)?;
        self.take(item, at, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// An array of at most `most` items, each read by `each`.
    ///
    /// # Errors
    /// [`Malformed`] for a longer array, or what `each` returns.
    pub fn list<T>(
        &mut self,
        item: &'static str,
        most: usize,
        mut each: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let at = self.at;
        let count = self.head(item, ARRAY)?;
        self.check(item, at, count <= most as u64, Problem::TooLong)?;
        // Every item takes a byte at least, so no more than what is left can be announced truthfully.
        self.check(item, at, count <= (self.bytes.len() - self.at) as u64, Problem::Truncated)?;
        (0..count).map(|_| each(self)).collect()
    }

    /// The offset of the next byte: for errors of the caller's own.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// [`Malformed`] when something does.
    pub fn end(self, item: &'static str) -> Result<(), Malformed> {
        self.check(item, self.at, self.at == self.bytes.len(), Problem::Trailing)
    }
}
