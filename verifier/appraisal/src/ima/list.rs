//! Both forms of the list, entry by entry. Nothing is kept: a list of any length takes the memory of its longest entry.

use super::entry::{Entry, Template};
use crate::hex;
use std::borrow::Cow;
use thiserror::Error;

/// Why bytes are not a measurement list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// No entry at all.
    #[error("the list is empty; check that the kernel was started with an IMA policy (ima_policy=tcb)")]
    Empty,
    /// An entry of the binary form ends before its fields do.
    #[error("entry {position} ends early: {wanted} more bytes wanted, {left} left; send the list as the kernel has it")]
    Truncated {
        /// Position of the entry, from 0.
        position: usize,
        /// Bytes that the field takes.
        wanted: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A field is not what its template says.
    #[error("entry {position} has no {what} where its template wants one; send the list as the kernel has it")]
    Field {
        /// Position of the entry, from 0.
        position: usize,
        /// Field.
        what: &'static str,
    },
}

/// A list, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List<'a> {
    /// As `/sys/kernel/security/ima/ascii_runtime_measurements` has it.
    Ascii(&'a [u8]),
    /// As `/sys/kernel/security/ima/binary_runtime_measurements` has it.
    Binary(&'a [u8]),
}

impl<'a> List<'a> {
    /// The entries, in the order measured. The first error is the last item.
    #[must_use]
    pub fn entries(self) -> Entries<'a> {
        let (List::Ascii(rest) | List::Binary(rest)) = self;
        Entries { list: self, rest, position: 0, trailing: 0 }
    }
}

/// The entries of a list, one by one.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    list: List<'a>,
    rest: &'a [u8],
    position: usize,
    trailing: usize,
}

impl<'a> Entries<'a> {
    /// White space behind the last entry of the binary form, in bytes; known when the entries have come to their end.
    #[must_use]
    pub fn trailing(&self) -> usize {
        self.trailing
    }

    fn read(&mut self) -> Option<Result<Entry<'a>, ListError>> {
        match self.list {
            List::Ascii(_) => {
                let line = self.line()?;
                Some(ascii(line, self.position))
            }
            List::Binary(_) if self.rest.iter().all(u8::is_ascii_whitespace) => {
                self.trailing = self.rest.len();
                None
            }
            List::Binary(_) => Some(self.binary()),
        }
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line)
    }

    /// Register, template digest, name of the template, its data; all little-endian.
    fn binary(&mut self) -> Result<Entry<'a>, ListError> {
        let pcr = self.word()?;
        let digest = self.take(20)?;
        let name = self.counted()?;
        let template = Template::named(name).ok_or(ListError::Field { position: self.position, what: "name of a template" })?;
        let data = if template == Template::Ima {
            // No length of its own: a SHA-1 digest, then the name with its length, which is not part of the data.
            let file = self.take(20)?;
            [file, self.counted()?].concat().into()
        } else {
            Cow::Borrowed(self.counted()?)
        };
        Entry::new(self.position, pcr, Cow::Borrowed(digest), template, Some(data))
    }

    fn counted(&mut self) -> Result<&'a [u8], ListError> {
        let length = self.word()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn word(&mut self) -> Result<u32, ListError> {
        self.take(4)?.try_into().map(u32::from_le_bytes).map_err(|_| ListError::Field { position: self.position, what: "word" })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ListError> {
        let short = ListError::Truncated { position: self.position, wanted: count, left: self.rest.len() };
        let (head, rest) = self.rest.split_at_checked(count).ok_or(short)?;
        self.rest = rest;
        Ok(head)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        match read {
            Some(Ok(_)) => self.position += 1,
            Some(Err(_)) => self.rest = &[],
            None if self.position == 0 => {
                self.position = 1;
                return Some(Err(ListError::Empty));
            }
            None => {}
        }
        read
    }
}

/// `10 <template digest> <template> <fields, by spaces>`.
fn ascii(line: &[u8], position: usize) -> Result<Entry<'_>, ListError> {
    let wrong = |what| ListError::Field { position, what };
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let pcr = parts.next().and_then(|pcr| std::str::from_utf8(pcr).ok()?.parse::<u8>().ok()).ok_or_else(|| wrong("register"))?;
    let digest = parts.next().and_then(unhex).filter(|digest| digest.len() >= 20).ok_or_else(|| wrong("template digest"))?;
    let template = parts.next().and_then(Template::named).ok_or_else(|| wrong("name of a template"))?;
    let fields = parts.next().unwrap_or_default();
    let data = match template {
        Template::Unknown(_) => None,
        _ => Some(Cow::Owned(data_of(template, fields).ok_or_else(|| wrong("fields"))?)),
    };
    Entry::new(position, pcr.into(), digest.into(), template, data)
}

/// The template data that the fields of a line stand for, as the kernel hashed them.
fn data_of(template: Template<'_>, fields: &[u8]) -> Option<Vec<u8>> {
    let space = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b' ');
    let (digest, rest) = fields.split_at_checked(space(fields)?)?;
    let rest = rest.get(1..)?;
    if template == Template::Ima {
        return Some([unhex(digest).filter(|digest| digest.len() == 20)?.as_slice(), rest].concat());
    }
    let colon = digest.iter().rposition(|byte| *byte == b':')?;
    let (algorithm, hexadecimal) = digest.split_at_checked(colon + 1)?;
    let (name, last) = match template {
        Template::Sig | Template::SigV2 | Template::Buf => {
            let (name, last) = rest.split_at_checked(rest.iter().rposition(|byte| *byte == b' ')?)?;
            (name, Some(unhex(last.get(1..)?)?))
        }
        _ => (rest, None),
    };
    // Three lengths and two ends; a digest takes half of its digits.
    let mut data = Vec::with_capacity(fields.len() + 3 * 4 + 2);
    let digest = unhex(hexadecimal)?;
    let last = last.as_deref().map(|last| [last]);
    let last = last.as_ref().map(<[_; 1]>::as_slice);
    for field in [&[algorithm, b"\0", &digest][..], &[name, b"\0"]].into_iter().chain(last) {
        let length = field.iter().map(|part| part.len()).sum::<usize>();
        data.extend(u32::try_from(length).ok()?.to_le_bytes());
        field.iter().for_each(|part| data.extend_from_slice(part));
    }
    Some(data)
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    hex::decode(std::str::from_utf8(digits).ok()?)
}
