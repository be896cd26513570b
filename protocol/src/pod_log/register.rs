//! Which register a log is kept in, and where a log stands by its records.

use core::fmt;

use crate::{Bank, BankDigest, Digest, binding::PodLogHead};

/// The PCR that records are extended into on a node with a TPM. The firmware profile leaves it to the operating system.
pub const REGISTER: u8 = 13;

/// The register that a log's records are extended into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// [`REGISTER`] of a TPM, in one of its banks.
    Pcr(Bank),
    /// RTMR3 of a TD: SHA-384, and measurement register 4 in logs (UEFI 2.10, 38.4.1; Intel TDX Virtual Firmware Design Guide, 8).
    Rtmr,
}

impl Register {
    /// What nodes with a TPM of their own keep their log in.
    pub const TPM: Self = Self::Pcr(Bank::Sha256);

    /// Its number, as records have it.
    #[must_use]
    pub fn index(self) -> u8 {
        match self {
            Self::Pcr(_) => REGISTER,
            Self::Rtmr => 4,
        }
    }

    /// The bank that it is of.
    #[must_use]
    pub fn bank(self) -> Bank {
        match self {
            Self::Pcr(bank) => bank,
            Self::Rtmr => Bank::Sha384,
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pcr(_) => write!(f, "PCR {REGISTER}"),
            Self::Rtmr => f.write_str("RTMR3"),
        }
    }
}

/// What a record is in the chain and in the register: its content, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256.
    pub chain: Digest,
    /// By the hash of the register's bank.
    pub extended: BankDigest,
}

impl Digests {
    pub(super) fn of(bank: Bank, content: &[u8]) -> Self {
        let extended = bank.digest(content);
        let chain = match extended {
            BankDigest::Sha256(digest) => Digest(digest),
            BankDigest::Sha384(_) => Digest::of(content),
        };
        Self { chain, extended }
    }
}

/// Where a log stands after some of its records: what evidence says of it, and what its register holds.
///
/// The chain is SHA-256 always. In a bank of SHA-256 it *is* the register: its head is what that holds. Beside any other bank it starts at 32
/// zero bytes, and the register is replayed next to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    head: PodLogHead,
    register: BankDigest,
}

impl Standing {
    /// Before the first record; `register` is what that says of the register.
    #[must_use]
    pub fn begin(register: BankDigest) -> Self {
        let head = match register {
            BankDigest::Sha256(value) => Digest(value),
            BankDigest::Sha384(_) => PodLogHead::NONE.head,
        };
        Self { head: PodLogHead { length: 0, head }, register }
    }

    /// A log that stands here; `None` where register and head are one, and these are not.
    #[must_use]
    pub fn of(head: PodLogHead, register: BankDigest) -> Option<Self> {
        let agree = register.bank() != Bank::Sha256 || register == BankDigest::from(head.head);
        agree.then_some(Self { head, register })
    }

    /// After one more record.
    #[must_use]
    pub fn and(self, digests: &Digests) -> Self {
        let head = self.head.and(&digests.chain);
        let register = match self.register {
            BankDigest::Sha256(_) => head.head.into(),
            BankDigest::Sha384(_) => self.register.extended(&digests.extended),
        };
        Self { head, register }
    }

    /// What evidence says of it.
    #[must_use]
    pub fn head(&self) -> PodLogHead {
        self.head
    }

    /// What the register holds.
    #[must_use]
    pub fn register(&self) -> BankDigest {
        self.register
    }
}
