//! Platform configuration registers: which ones, and what those of one bank hold.

use std::fmt;

use podseal_protocol::Bank;

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

/// Values of some registers of one bank: what a register file of hardware says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcrValues {
    bank: Bank,
    known: PcrSet,
    values: [[u8; Bank::LARGEST]; PcrSet::COUNT as usize],
}

impl PcrValues {
    /// No register of `bank`.
    #[must_use]
    pub fn new(bank: Bank) -> Self {
        Self { bank, known: PcrSet::default(), values: [[0; Bank::LARGEST]; PcrSet::COUNT as usize] }
    }

    /// The bank.
    #[must_use]
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// Sets one register; says whether that was possible: not above 23, not one that is already there, and a value as long as the bank's.
    #[must_use]
    pub fn insert(&mut self, index: u8, value: &[u8]) -> bool {
        if self.known.contains(index) || value.len() != self.bank.size() {
            return false;
        }
        let slot = self.values.get_mut(usize::from(index)).and_then(|slot| slot.get_mut(..value.len()));
        match (self.known.with(index), slot) {
            (Some(known), Some(slot)) => {
                self.known = known;
                slot.copy_from_slice(value);
                true
            }
            _ => false,
        }
    }

    /// The value of one register, where it is known: as long as the bank's are.
    #[must_use]
    pub fn get(&self, index: u8) -> Option<&[u8]> {
        let value = self.known.contains(index).then(|| self.values.get(usize::from(index))).flatten()?;
        value.get(..self.bank.size())
    }

    /// Which registers are known.
    #[must_use]
    pub fn set(&self) -> PcrSet {
        self.known
    }

    /// Index and value of the known registers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.known.iter().filter_map(|index| self.get(index).map(|value| (index, value)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_register_above_23_and_none_twice() {
        let mut values = PcrValues::new(Bank::Sha256);
        assert!(values.insert(23, &[1; 32]));
        assert!(!values.insert(23, &[2; 32]));
        assert!(!values.insert(24, &[2; 32]));
        assert_eq!(values.get(23), Some(&[1; 32][..]));
        assert_eq!(values.get(0), None);
        assert_eq!(PcrSet::of(&[0, 24]), None);
        assert_eq!(PcrSet::from_mask(1 << 24), None);
        assert_eq!(PcrSet::of(&[7, 0]).unwrap().to_string(), "0,7");
    }

    #[test]
    fn values_are_as_long_as_the_bank_has_them() {
        for (bank, size) in [(Bank::Sha256, 32), (Bank::Sha384, 48)] {
            let mut values = PcrValues::new(bank);
            for other in [0, 20, 80 - size, size - 1, size + 1, 64] {
                assert!(!values.insert(0, &vec![1; other]), "{bank} with {other} bytes");
            }
            assert!(values.insert(0, &vec![1; size]));
            assert_eq!(values.get(0), Some(&vec![1; size][..]));
        }
    }
}
