//! Searching a stream of any length in a buffer of one length.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::patterns::Patterns;

const BUFFER: usize = 256 << 10;

/// In which forms something was found, and where first: an offset, or an address.
pub(super) type Finds = BTreeMap<&'static str, u64>;

/// Searches what is fed to it piece by piece; what stands across two pieces that follow each other is found.
pub(super) struct Stream<'p> {
    patterns: &'p Patterns,
    buffer: Vec<u8>,
    /// Bytes at the beginning of the buffer that were searched before.
    kept: usize,
    /// Where the next byte stands.
    at: u64,
    finds: Finds,
}

impl<'p> Stream<'p> {
    pub(super) fn new(patterns: &'p Patterns) -> Self {
        Self { patterns, buffer: vec![0; BUFFER + patterns.longest()], kept: 0, at: 0, finds: Finds::new() }
    }

    /// Goes on at another place: unless it is where the last piece ended, nothing stands across.
    pub(super) fn seek(&mut self, at: u64) {
        if at != self.at {
            (self.kept, self.at) = (0, at);
        }
    }

    /// Searches up to `most` bytes of what `source` has, and returns how many there were.
    pub(super) fn read(&mut self, source: &mut dyn Read, most: u64) -> io::Result<u64> {
        let mut total = 0;
        while total < most {
            let room = BUFFER.min(usize::try_from(most - total).unwrap_or(BUFFER));
            let count = match source.read(&mut self.buffer[self.kept..self.kept + room]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.search(count);
            total += count as u64;
        }
        Ok(total)
    }

    /// What was found so far, from the beginning.
    pub(super) fn take(&mut self) -> Finds {
        (self.kept, self.at) = (0, 0);
        std::mem::take(&mut self.finds)
    }

    fn search(&mut self, count: usize) {
        let end = self.kept + count;
        let start = self.at - self.kept as u64;
        for (to, form) in self.patterns.in_bytes(&self.buffer[..end]) {
            self.finds.entry(form).or_insert(start + to as u64);
        }
        // One byte less than a pattern: what was found is not found again.
        let keep = end.min(self.patterns.longest() - 1);
        self.buffer.copy_within(end - keep..end, 0);
        (self.kept, self.at) = (keep, self.at + count as u64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CANARY: &[u8] = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    /// Gives so many bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn it_is_found_across_every_border() {
        let patterns = Patterns::new(CANARY).unwrap();
        let fragment = &CANARY[..16];
        for before in BUFFER - 40..BUFFER + 40 {
            let text = [vec![b'x'; before].as_slice(), fragment, &[b'y'; 100]].concat();
            let mut stream = Stream::new(&patterns);
            assert_eq!(stream.read(&mut text.as_slice(), u64::MAX).unwrap(), text.len() as u64);
            assert_eq!(stream.take(), Finds::from([("raw", (before + 16) as u64)]), "{before}");
        }
        for at_a_time in [1, 3, 15, 17] {
            let text = [b"head", CANARY].concat();
            let mut stream = Stream::new(&patterns);
            stream.read(&mut Drip(&text, at_a_time), u64::MAX).unwrap();
            assert_eq!(stream.take().get("raw"), Some(&20), "{at_a_time}");
        }
    }

    #[test]
    fn pieces_that_do_not_follow_each_other_are_apart() {
        let patterns = Patterns::new(CANARY).unwrap();
        for (second, found) in [(0x1008, true), (0x2000, false)] {
            let mut stream = Stream::new(&patterns);
            stream.seek(0x1000);
            stream.read(&mut &CANARY[..8], u64::MAX).unwrap();
            stream.seek(second);
            stream.read(&mut &CANARY[8..16], u64::MAX).unwrap();
            assert_eq!(!stream.take().is_empty(), found);
        }
    }
}
