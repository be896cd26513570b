//! Words that a report is made of.

use std::fmt;

/// Which key signed a report (`SIGNING_KEY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKey {
    /// The chip's own key for one TCB version.
    Vcek,
    /// A cloud provider's key, loaded into its machines.
    Vlek,
    /// None: the host forbade it, and the report is not signed.
    None,
    /// A value that has no meaning.
    Reserved(u8),
}

impl SigningKey {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
            Self::None => "none",
            Self::Reserved(_) => "reserved",
        }
    }
}

/// CPUID signature of the processor, combined as in CPUID Fn0000_0001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpuid {
    /// Base and extended family together.
    pub family: u8,
    /// Base and extended model together.
    pub model: u8,
    /// Stepping.
    pub stepping: u8,
}

/// Version of the SEV-SNP firmware; printed as `major.minor.build`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirmwareVersion {
    /// Major version of the ABI.
    pub major: u8,
    /// Minor version of the ABI.
    pub minor: u8,
    /// Build.
    pub build: u8,
}

impl fmt::Display for FirmwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.build)
    }
}
