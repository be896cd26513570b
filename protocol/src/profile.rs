//! Evidence profiles: which hardware proves a node, and so which parts its evidence has.

use core::fmt;

use crate::{Bank, pod_log::Register};

/// What proves a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// A TPM 2.0: a quote of its registers.
    Tpm,
    /// An SEV-SNP guest without a TPM: the processor's report.
    Snp,
    /// A trust domain of Intel TDX: its quote.
    Tdx,
    /// An Azure confidential VM on SEV-SNP: the processor's report vouches for the virtual TPM that quotes.
    AzureSnp,
    /// An EC2 instance with `NitroTPM`: the hypervisor's attestation document.
    NitroTpm,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tpm, Self::Snp, Self::Tdx, Self::AzureSnp, Self::NitroTpm];

    /// The word on the wire, in configurations and in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tpm => "tpm",
            Self::Snp => "snp",
            Self::Tdx => "tdx",
            Self::AzureSnp => "azure-snp",
            Self::NitroTpm => "nitro-tpm",
        }
    }

    /// The profile of that word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == word)
    }

    /// The register that a node of this profile keeps its pod log in; `None` where its hardware has none that software extends.
    #[must_use]
    pub fn pod_log(self) -> Option<Register> {
        match self {
            Self::Tpm | Self::AzureSnp => Some(Register::Pcr(Bank::Sha256)),
            Self::NitroTpm => Some(Register::Pcr(Bank::Sha384)),
            Self::Tdx => Some(Register::Rtmr),
            Self::Snp => None,
        }
    }

    /// Whether a key of the node's own signs the binding: where the hardware vouches for the binding and has no key that is this node's
    /// alone.
    #[must_use]
    pub fn has_node_key(self) -> bool {
        matches!(self, Self::Snp | Self::Tdx)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
