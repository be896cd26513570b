//! Banks of registers: the hash that extends them, and what their registers hold.

use core::fmt;

use sha2::{Digest as _, Sha256, Sha384};

use crate::{Digest, hex};

/// A bank of registers, by the hash that extends them. SHA-1 is none here: nothing that it extends is evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bank {
    /// TPM_ALG_SHA256.
    Sha256,
    /// TPM_ALG_SHA384: also the registers of a TD.
    Sha384,
}

impl Bank {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha384];
    /// The longest value of any bank, in bytes.
    pub const LARGEST: usize = 48;

    /// The bank of this name, as [`Bank::name`] has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bank| bank.name() == name)
    }

    /// Name as tools print it: `sha256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        }
    }

    /// `TPM_ALG_ID` (TCG Algorithm Registry 1.34, table 3).
    #[must_use]
    pub fn algorithm(self) -> u16 {
        match self {
            Self::Sha256 => 0x0b,
            Self::Sha384 => 0x0c,
        }
    }

    /// Length of its values in bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => Self::LARGEST,
        }
    }

    /// What its registers hold before anything is extended into them, but for those that start otherwise (PC Client PTP 1.06, 4.6.2).
    #[must_use]
    pub fn zero(self) -> BankDigest {
        match self {
            Self::Sha256 => BankDigest::Sha256([0; 32]),
            Self::Sha384 => BankDigest::Sha384([0; 48]),
        }
    }

    /// The digest by which `bytes` are extended.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> BankDigest {
        match self {
            Self::Sha256 => BankDigest::Sha256(Sha256::digest(bytes).into()),
            Self::Sha384 => BankDigest::Sha384(Sha384::digest(bytes).into()),
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest of a bank: what one of its registers holds, or is extended by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BankDigest {
    /// 32 bytes of SHA-256.
    Sha256([u8; 32]),
    /// 48 bytes of SHA-384.
    Sha384([u8; 48]),
}

impl BankDigest {
    /// These bytes as they stand, where they are as long as a value of `bank`.
    #[must_use]
    pub fn from_bytes(bank: Bank, bytes: &[u8]) -> Option<Self> {
        match bank {
            Bank::Sha256 => bytes.try_into().ok().map(Self::Sha256),
            Bank::Sha384 => bytes.try_into().ok().map(Self::Sha384),
        }
    }

    /// Reads twice as many hexadecimal digits as the bank's values have bytes, with or without its name and a colon before them. Anything
    /// else is `None`.
    #[must_use]
    pub fn from_hex(bank: Bank, text: &str) -> Option<Self> {
        let text = text.strip_prefix(bank.name()).and_then(|rest| rest.strip_prefix(':')).unwrap_or(text);
        match bank {
            Bank::Sha256 => hex::array(text).map(Self::Sha256),
            Bank::Sha384 => hex::array(text).map(Self::Sha384),
        }
    }

    /// The bank.
    #[must_use]
    pub fn bank(&self) -> Bank {
        match self {
            Self::Sha256(_) => Bank::Sha256,
            Self::Sha384(_) => Bank::Sha384,
        }
    }

    /// The value, where it is one of the SHA-256 bank.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        if let Self::Sha256(value) = self { Some(Digest(*value)) } else { None }
    }

    /// The register after `digest`, which is one of the same bank, was extended into it (TPM 2.0 Part 1, section 17.4).
    #[must_use]
    pub fn extended(&self, digest: &Self) -> Self {
        match self {
            Self::Sha256(value) => Self::Sha256(Sha256::new().chain_update(value).chain_update(digest).finalize().into()),
            Self::Sha384(value) => Self::Sha384(Sha384::new().chain_update(value).chain_update(digest).finalize().into()),
        }
    }
}

impl From<Digest> for BankDigest {
    fn from(digest: Digest) -> Self {
        Self::Sha256(digest.0)
    }
}

impl AsRef<[u8]> for BankDigest {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Sha256(value) => value,
            Self::Sha384(value) => value,
        }
    }
}

impl fmt::Display for BankDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_ref()))
    }
}

impl fmt::Debug for BankDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.bank())
    }
}
