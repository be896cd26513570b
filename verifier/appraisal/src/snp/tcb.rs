//! Generations of processors, and the security version numbers of their firmware.

use super::words::Cpuid;
use std::fmt;

/// A generation, by the name of its root: what its certificates are called, and how its TCB versions are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004 (Bergamo and Siena have Genoa's roots).
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Product {
    pub(crate) const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name in roots and certificates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// How many bytes of `CHIP_ID` name the chip; the rest is zero. AMD 57230.
    #[must_use]
    pub fn chip_id_length(self) -> usize {
        if self == Self::Turin { 8 } else { 64 }
    }

    /// The product of a certificate's `productName`: a stepping may follow (`Milan-B0`). AMD 57230.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (product, _) = name.split_once('-').unwrap_or((name, ""));
        Self::ALL.into_iter().find(|known| known.as_str() == product)
    }

    /// The product that an authority of AMD's is for, by the end of its common name: `ARK-Milan`, `SEV-VLEK-Milan`.
    pub(super) fn of_authority(common_name: &str) -> Option<Self> {
        let (_, product) = common_name.rsplit_once('-')?;
        Self::ALL.into_iter().find(|known| known.as_str() == product)
    }

    /// The product with this CPUID signature. AMD 57230.
    #[must_use]
    pub fn of_cpuid(cpuid: Cpuid) -> Option<Self> {
        match (cpuid.family, cpuid.model) {
            (0x19, 0x00..=0x0f) => Some(Self::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Self::Genoa),
            (0x1a, 0x00..=0x1f) => Some(Self::Turin),
            _ => None,
        }
    }
}

/// `TCB_VERSION` (AMD 56860, 2.2): one number for each part of the firmware, higher is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tcb {
    /// Boot loader of the secure processor's front end; Turin only.
    pub fmc: Option<u8>,
    /// Boot loader of the secure processor.
    pub bootloader: u8,
    /// Operating system of the secure processor.
    pub tee: u8,
    /// SEV-SNP firmware.
    pub snp: u8,
    /// Lowest microcode patch level of all cores.
    pub microcode: u8,
}

impl Tcb {
    /// Reads the eight bytes of a report as `product` lays them out; without one, as Milan and Genoa do.
    #[must_use]
    pub fn of_bytes(bytes: [u8; 8], product: Option<Product>) -> Self {
        match (product, bytes) {
            (Some(Product::Turin), [fmc, bootloader, tee, snp, _, _, _, microcode]) => {
                Self { fmc: Some(fmc), bootloader, tee, snp, microcode }
            }
            (_, [bootloader, tee, _, _, _, _, snp, microcode]) => Self { fmc: None, bootloader, tee, snp, microcode },
        }
    }

    /// Each part by its name in certificates and in the parameters of AMD's service, in their order. AMD 57230, 4.1 and table 11.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, u8)> {
        let rest = [("blSPL", self.bootloader), ("teeSPL", self.tee), ("snpSPL", self.snp), ("ucodeSPL", self.microcode)];
        self.fmc.map(|fmc| ("fmcSPL", fmc)).into_iter().chain(rest)
    }

    /// Whether each part is at least as new as in `floor`; a part that `floor` lacks may be anything.
    #[must_use]
    pub fn reaches(&self, floor: &Self) -> bool {
        let fmc = floor.fmc.is_none_or(|least| self.fmc.is_some_and(|fmc| fmc >= least));
        let rest = self.bootloader >= floor.bootloader && self.tee >= floor.tee;
        fmc && rest && self.snp >= floor.snp && self.microcode >= floor.microcode
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(f, "FMC {fmc}, ")?;
        }
        write!(f, "boot loader {}, TEE {}, SNP {}, microcode {}", self.bootloader, self.tee, self.snp, self.microcode)
    }
}
