//! CBOR (RFC 8949) before it is decoded: one well-formed item to the last byte, not too deep; and the types that decoders of
//! its maps borrow.
//!
//! Nothing is allocated here, so a length that somebody sent costs nothing; and whatever decodes afterwards finds every length to be true.

use serde::de::{Deserialize, Deserializer, Visitor};
use std::fmt;
use thiserror::Error;

/// Most levels of arrays, maps and tags within each other.
const DEEPEST: usize = 16;

/// Most items, at any depth: what decoding costs is by their number.
const MOST: usize = 4096;

/// What a format has beside plain items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form {
    /// Tags (RFC 8949, 3.4).
    pub tags: bool,
    /// Arrays and maps that only a break ends (3.2.2). Strings in chunks (3.2.3) are never taken.
    pub breaks: bool,
}

/// Why bytes are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CborError {
    /// The item is longer than the bytes.
    #[error("the CBOR ends within an item that begins at byte {at}")]
    End {
        /// Where the item begins.
        at: usize,
    },
    /// Bytes behind the item.
    #[error("{found} bytes follow the CBOR item")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// RFC 8949, 3.2: a length that only the end tells.
    #[error("the CBOR item at byte {at} does not say its length")]
    Indefinite {
        /// Where it begins.
        at: usize,
    },
    /// RFC 8949, 3 and 3.3: a first byte or a simple value that has no meaning here.
    #[error("the CBOR item at byte {at} is of no known form")]
    Reserved {
        /// Where it begins.
        at: usize,
    },
    /// RFC 8949, 3.1.
    #[error("the CBOR text at byte {at} is not UTF-8")]
    Text {
        /// Where it begins.
        at: usize,
    },
    /// A tag where the format has none.
    #[error("there is a CBOR tag at byte {at}, where the format has none")]
    Tag {
        /// Where it stands.
        at: usize,
    },
    /// Levels without end.
    #[error("the CBOR item at byte {at} is more than {DEEPEST} levels deep")]
    TooDeep {
        /// Where it begins.
        at: usize,
    },
    /// More than any message has.
    #[error("more than {MOST} CBOR items, up to byte {at}")]
    TooMany {
        /// Where the next one begins.
        at: usize,
    },
}

/// An array, map or tag that is not at its end yet.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// How many items it still wants; `None` until a break.
    wants: Option<u64>,
    /// Whether it ends behind a key, which has no value then.
    in_pair: bool,
    /// Whether its items come in pairs.
    pairs: bool,
}

impl Level {
    /// Counts one item; whether it was the last.
    fn count(&mut self) -> bool {
        self.in_pair = self.pairs && !self.in_pair;
        self.wants = self.wants.map(|wants| wants.saturating_sub(1));
        self.wants == Some(0)
    }
}

/// What comes next.
enum Item {
    /// An item with nothing inside.
    Leaf,
    /// One with others inside.
    Opens(Level),
    /// The end of one that said none.
    Break,
}

/// Goes over every byte.
///
/// # Errors
/// [`CborError`], for the first item that is not taken.
pub fn well_formed(bytes: &[u8], form: Form) -> Result<(), CborError> {
    let mut rest = bytes;
    let mut open = [Level::default(); DEEPEST];
    let mut depth = 0_usize;
    let mut count = 0_usize;
    loop {
        let at = bytes.len() - rest.len();
        count += 1;
        if count > MOST {
            return Err(CborError::TooMany { at });
        }
        match item(at, &mut rest, form)? {
            Item::Opens(level) => {
                *open.get_mut(depth).ok_or(CborError::TooDeep { at })? = level;
                depth += 1;
                continue;
            }
            Item::Break => {
                let top = depth.checked_sub(1).and_then(|top| open.get(top));
                if !top.is_some_and(|top| top.wants.is_none() && !top.in_pair) {
                    return Err(CborError::Reserved { at });
                }
                depth -= 1;
            }
            Item::Leaf => {}
        }
        // Whatever ended may have been the last of what it stands in.
        loop {
            let Some(level) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) else {
                return if rest.is_empty() { Ok(()) } else { Err(CborError::Trailing { found: rest.len() }) };
            };
            if !level.count() {
                break;
            }
            depth -= 1;
        }
    }
}

/// Reads the head of the item at `at`, and its bytes if it is a string.
fn item(at: usize, rest: &mut &[u8], form: Form) -> Result<Item, CborError> {
    let ends = CborError::End { at };
    let (first, behind) = rest.split_first().ok_or(ends)?;
    let (major, low) = (first >> 5, first & 31);
    let width = match low {
        0..=23 | 31 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(CborError::Reserved { at }),
    };
    let (argument, behind) = behind.split_at_checked(width).ok_or(ends)?;
    *rest = behind;
    if low == 31 {
        return match major {
            4 | 5 if form.breaks => Ok(Item::Opens(Level { wants: None, in_pair: false, pairs: major == 5 })),
            7 if form.breaks => Ok(Item::Break),
            2..=5 => Err(CborError::Indefinite { at }),
            _ => Err(CborError::Reserved { at }),
        };
    }
    let argument = if width == 0 { u64::from(low) } else { argument.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) };
    let opens = |wants: u64| Ok(if wants == 0 { Item::Leaf } else { Item::Opens(Level { wants: Some(wants), ..Level::default() }) });
    match major {
        2 | 3 => {
            let (string, behind) = usize::try_from(argument).ok().and_then(|length| rest.split_at_checked(length)).ok_or(ends)?;
            if major == 3 && std::str::from_utf8(string).is_err() {
                return Err(CborError::Text { at });
            }
            *rest = behind;
            Ok(Item::Leaf)
        }
        4 => opens(argument),
        5 => opens(argument.checked_mul(2).ok_or(ends)?),
        6 if !form.tags => Err(CborError::Tag { at }),
        6 => opens(1),
        7 if width <= 1 && !matches!(low, 20..=23) => Err(CborError::Reserved { at }),
        _ => Ok(Item::Leaf),
    }
}

/// A byte string, borrowed. A text string is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByteStrings;
        impl<'de> Visitor<'de> for ByteStrings {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Bytes<'de>, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_bytes(ByteStrings)
    }
}

/// Puts the value of a key into its place.
///
/// # Errors
/// When the key has come before.
pub(crate) fn once<T, E: serde::de::Error>(place: &mut Option<T>, key: &str, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("{key} stands twice"))),
    }
}

/// Decodes one item into a type that borrows from it, after [`well_formed`].
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], form: Form) -> Result<T, String> {
    well_formed(bytes, form).map_err(|error| error.to_string())?;
    serde_cbor::from_slice(bytes).map_err(|error| error.to_string())
}
