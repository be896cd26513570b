//! Records, read one after the other.

use super::{CONTENT, CONTENT_LENGTH, DIGESTS, Digests, Event, HEAD, PCR, RECORD_NUMBER, Record, Register, digest_field};
use crate::{
    Limits,
    cbor::{Malformed, Problem},
};

/// Reads records one after the other, from a number on. An error ends it.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    register: Register,
    rest: &'a [u8],
    length: usize,
    next: u64,
    limits: Limits,
}

impl<'a> Records<'a> {
    /// Records that begin with number `from`, of a log that is kept in `register`.
    #[must_use]
    pub fn new(bytes: &'a [u8], from: u64, register: Register, limits: &Limits) -> Self {
        Self { register, rest: bytes, length: bytes.len(), next: from, limits: *limits }
    }

    fn record(&mut self) -> Result<(Record, Digests), Malformed> {
        let at = self.at();
        let bank = self.register.bank();
        let number = self.field("pod_log.number", RECORD_NUMBER, 8)?;
        let wrong = |item, problem| Malformed { item, at, problem };
        if number != self.next.to_be_bytes() {
            return Err(wrong("pod_log.number", Problem::WrongValue));
        }
        if self.field("pod_log.register", PCR, 1)? != [self.register.index()] {
            return Err(wrong("pod_log.register", Problem::WrongValue));
        }
        let digests = self.field("pod_log.digests", DIGESTS, HEAD + bank.size())?;
        let before = self.rest;
        let content = self.field("pod_log.content", CONTENT, CONTENT_LENGTH)?;
        let found = Digests::of(bank, before.get(..HEAD + content.len()).unwrap_or_default());
        if digests != digest_field(&found.extended) {
            return Err(wrong("pod_log.digests", Problem::WrongValue));
        }
        let event = Event::decode(content, bank, &self.limits)?;
        let number = self.next;
        self.next = number.checked_add(1).ok_or(wrong("pod_log.number", Problem::WrongValue))?;
        Ok((Record { number, event }, found))
    }

    fn field(&mut self, item: &'static str, kind: u8, most: usize) -> Result<&'a [u8], Malformed> {
        let at = self.at();
        let wrong = |problem| Malformed { item, at, problem };
        let (head, rest) = self.rest.split_first_chunk::<HEAD>().ok_or(wrong(Problem::Truncated))?;
        let [found, a, b, c, d] = *head;
        if found != kind {
            return Err(wrong(Problem::WrongType));
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > most {
            return Err(wrong(Problem::TooLong));
        }
        let (value, rest) = rest.split_at_checked(length).ok_or(wrong(Problem::Truncated))?;
        self.rest = rest;
        Ok(value)
    }

    fn at(&self) -> usize {
        self.length - self.rest.len()
    }
}

impl Iterator for Records<'_> {
    /// The record, and the digests of it.
    type Item = Result<(Record, Digests), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}
