//! The register that a list leads to.

use super::entry::Entry;
use crate::tpm::HashAlgorithm;

/// What the kernel extends into a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// The hash of the template data in the bank's own algorithm (Linux 5.8 and later).
    Rehashed,
    /// The SHA-1 template digest, filled up with zeros (before).
    ZeroPadded,
}

/// The register of the list: `CONFIG_IMA_MEASURE_PCR_IDX`.
pub const REGISTER: u8 = 10;

/// PCR 10 of one bank, replayed entry by entry.
#[derive(Debug, Clone)]
pub struct Replay {
    bank: HashAlgorithm,
    extension: Extension,
    value: [u8; HashAlgorithm::LARGEST],
    told: bool,
}

impl Replay {
    /// The register as a reset leaves it.
    #[must_use]
    pub fn new(bank: HashAlgorithm, extension: Extension) -> Self {
        Self { bank, extension, value: [0; HashAlgorithm::LARGEST], told: true }
    }

    /// The bank.
    #[must_use]
    pub fn bank(&self) -> HashAlgorithm {
        self.bank
    }

    /// What the bank is extended with.
    #[must_use]
    pub fn extension(&self) -> Extension {
        self.extension
    }

    /// What the register holds after the entries so far; `None` once an entry did not tell what was extended.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.get(..self.bank.size()).filter(|_| self.told)
    }

    /// Extends by `entry`; one of another register changes nothing. A violation extends by all ones.
    pub fn extend(&mut self, entry: &Entry<'_>) {
        if entry.pcr != u32::from(REGISTER) || !self.told {
            return;
        }
        if entry.is_violation() {
            return self.extend_by(&[0xff; HashAlgorithm::LARGEST]);
        }
        let rehashed = self.extension == Extension::Rehashed;
        match rehashed.then(|| entry.hash(self.bank)).flatten() {
            Some(hashed) => self.extend_by(hashed.as_ref()),
            // The template digest is the hash in this bank where the data are not told.
            None if self.extension == Extension::ZeroPadded || entry.template_digest.len() == self.bank.size() => {
                self.extend_by(&entry.template_digest);
            }
            None => self.told = false,
        }
    }

    /// As much of `measured` as the bank has room for, zeros behind it.
    fn extend_by(&mut self, measured: &[u8]) {
        let size = self.bank.size();
        let mut both = [0; 2 * HashAlgorithm::LARGEST];
        let bytes = self.value.iter().take(size).chain(measured.iter().take(size));
        for (slot, byte) in both.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        if let (Some(value), Some(both)) = (self.value.get_mut(..size), both.get(..2 * size)) {
            value.copy_from_slice(self.bank.digest(&[both]).as_ref());
        }
    }
}
