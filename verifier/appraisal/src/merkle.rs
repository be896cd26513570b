//! The log's Merkle tree: RFC 9162, section 2.1 (hash SHA-256).

use podseal_protocol::{Digest, cbor::Malformed, cbor::Problem};
use sha2::{Digest as _, Sha256};

/// `MTH({entry})`: the hash of one entry (RFC 9162, section 2.1.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest(Sha256::new_with_prefix([0x00]).chain_update(entry).finalize().into())
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest(Sha256::new_with_prefix([0x01]).chain_update(left).chain_update(right).finalize().into())
}

/// The right edge of a tree: enough to append and to tell the root. One hash for each bit set in the size, largest subtree first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry by its leaf hash.
    pub fn append(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // Each trailing one bit of the old size is a finished subtree of the same height as `hash`.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root (RFC 9162, section 2.1.1); of the empty tree, `h("")`.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Digest::of(b"") };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The peaks, 32 bytes each, for the store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.peaks.iter().flat_map(|peak| peak.0).collect()
    }

    /// What [`Frontier::to_bytes`] wrote for a tree of `size` entries.
    ///
    /// # Errors
    /// [`Malformed`] when the number of hashes does not fit the size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, Malformed> {
        let (chunks, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() && chunks.len() == size.count_ones() as usize {
            Ok(Self { size, peaks: chunks.iter().copied().map(Digest).collect() })
        } else {
            Err(Malformed { item: "log.frontier", at: 0, problem: Problem::WrongLength })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The definition, word for word, to hold the incremental form against.
    fn definition(entries: &[Vec<u8>]) -> Digest {
        match entries {
            [] => Digest::of(b""),
            [one] => leaf_hash(one),
            more => {
                let k = (more.len().next_power_of_two() / 2).max(1);
                let (left, right) = more.split_at(k);
                node_hash(&definition(left), &definition(right))
            }
        }
    }

    #[test]
    fn the_frontier_has_the_root_of_the_definition() {
        let entries: Vec<Vec<u8>> = (0..70u8).map(|i| vec![i; usize::from(i)]).collect();
        let mut frontier = Frontier::default();
        for size in 0..entries.len() {
            assert_eq!(frontier.root(), definition(entries.get(..size).unwrap()), "{size} entries");
            let restored = Frontier::from_bytes(size as u64, &frontier.to_bytes()).unwrap();
            assert_eq!(restored, frontier);
            frontier.append(leaf_hash(entries.get(size).unwrap()));
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        let mut frontier = Frontier::default();
        frontier.append(leaf_hash(b"x"));
        assert!(Frontier::from_bytes(3, &frontier.to_bytes()).is_err());
        assert!(Frontier::from_bytes(1, frontier.to_bytes().get(1..).unwrap()).is_err());
    }
}
