//! Platform configuration registers of the SHA-256 bank: which ones, and what is in them.

use std::fmt;

/// A set of PCR indices, 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PcrSet(u32);

impl PcrSet {
    /// How many registers a PC Client TPM has (PC Client Platform TPM Profile 1.06, 4.6).
    pub const COUNT: u8 = 24;

    /// The set of `indices`; an index above 23 names no register and is `None`.
    #[must_use]
    pub fn of(indices: &[u8]) -> Option<Self> {
        indices.iter().try_fold(Self::default(), |set, index| set.with(*index))
    }

    /// The set with this mask, bit n for PCR n; bits above 23 name no register and are `None`.
    #[must_use]
    pub fn from_mask(mask: u32) -> Option<Self> {
        (mask >> Self::COUNT == 0).then_some(Self(mask))
    }

    /// This set and `index`; `None` if there is no such register.
    #[must_use]
    pub fn with(self, index: u8) -> Option<Self> {
        (index < Self::COUNT).then(|| Self(self.0 | 1 << index))
    }

    /// Whether `index` is in the set.
    #[must_use]
    pub fn contains(self, index: u8) -> bool {
        index < Self::COUNT && self.0 >> index & 1 == 1
    }

    /// The indices in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Bit n for PCR n.
    #[must_use]
    pub fn mask(self) -> u32 {
        self.0
    }

    /// The indices, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..Self::COUNT).filter(move |index| self.contains(*index))
    }
}

impl fmt::Display for PcrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for index in self.iter() {
            write!(f, "{separator}{index}")?;
            separator = ",";
        }
        if self.0 == 0 { f.write_str("none") } else { Ok(()) }
    }
}

/// Values of some registers of the SHA-256 bank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PcrValues {
    known: PcrSet,
    values: [[u8; 32]; PcrSet::COUNT as usize],
}

impl PcrValues {
    /// No register.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one register; says whether that was possible: not above 23, and not one that is already there.
    #[must_use]
    pub fn insert(&mut self, index: u8, value: [u8; 32]) -> bool {
        if self.known.contains(index) {
            return false;
        }
        match (self.known.with(index), self.values.get_mut(usize::from(index))) {
            (Some(known), Some(slot)) => {
                self.known = known;
                *slot = value;
                true
            }
            _ => false,
        }
    }

    /// The value of one register, where it is known.
    #[must_use]
    pub fn get(&self, index: u8) -> Option<&[u8; 32]> {
        self.known.contains(index).then(|| self.values.get(usize::from(index))).flatten()
    }

    /// Which registers are known.
    #[must_use]
    pub fn set(&self) -> PcrSet {
        self.known
    }

    /// Index and value of the known registers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8; 32])> {
        self.known.iter().filter_map(|index| self.get(index).map(|value| (index, value)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_register_above_23_and_none_twice() {
        let mut values = PcrValues::new();
        assert!(values.insert(23, [1; 32]));
        assert!(!values.insert(23, [2; 32]));
        assert!(!values.insert(24, [2; 32]));
        assert_eq!(values.get(23), Some(&[1; 32]));
        assert_eq!(values.get(0), None);
        assert_eq!(PcrSet::of(&[0, 24]), None);
        assert_eq!(PcrSet::from_mask(1 << 24), None);
        assert_eq!(PcrSet::of(&[7, 0]).unwrap().to_string(), "0,7");
    }
}
