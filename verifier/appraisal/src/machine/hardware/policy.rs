//! The policy file: what of authentic hardware is good enough. TOML in, the policies of each kind out.

use podseal_protocol::{Digest, hex};
use serde::Deserialize;

use crate::{
    nitro,
    snp::{self, Distrust, Product, Tcb, TcbFloor},
    tdx::{self, Floors, TcbStatus},
};

/// Why a policy of hardware cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not the TOML of such a file.
    #[error("the hardware policy does not parse: {0}: compare with docs/OPERATING.md")]
    Toml(String),
    /// A value that its key does not take.
    #[error("{key} of the hardware policy: found {found:?}, wanted {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// What it takes.
        wanted: &'static str,
    },
}

/// What is good enough, for each kind of hardware.
#[derive(Debug, Clone, Default)]
pub(in crate::machine) struct Policy {
    pub(in crate::machine) snp: snp::Policy,
    pub(in crate::machine) nitro: nitro::Policy,
    statuses: Vec<TcbStatus>,
    evaluation: u32,
    families: Vec<[u8; 6]>,
    platforms: Vec<[u8; 16]>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    snp: SnpSection,
    tdx: TdxSection,
    distrust: DistrustSection,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct SnpSection {
    alias_check: bool,
    mitigations: u64,
    tcb: Vec<FloorSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FloorSection {
    product: String,
    reported: Levels,
    committed: Levels,
    launch: Levels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Levels {
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
    fmc: Option<u8>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TdxSection {
    statuses: Option<Vec<String>>,
    evaluation: u32,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DistrustSection {
    chips: Vec<String>,
    generations: Vec<String>,
    signers: Vec<String>,
}

impl Policy {
    /// Parses a policy file; an empty one is the shipped policy.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub(in crate::machine) fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text).map_err(|error| PolicyError::Toml(error.message().to_owned()))?;
        let shipped = || tdx::Policy::SHIPPED.statuses.iter().map(|status| status.as_str().to_owned()).collect();
        let statuses = file.tdx.statuses.unwrap_or_else(shipped);
        let mut distrust = Distrust::default();
        let (mut families, mut platforms) = (Vec::new(), Vec::new());
        for chip in &file.distrust.chips {
            let id = hex::decode(chip).filter(|id| matches!(id.len(), 8 | 16 | 64));
            let id =
                id.ok_or_else(|| value("distrust.chips", chip, "a CHIP_ID of 8 or 64 bytes or a PPID of 16, in hexadecimal digits"))?;
            match id.as_slice().try_into() {
                Ok(platform) => platforms.push(platform),
                Err(_) => distrust.chips.push(id),
            }
        }
        for generation in &file.distrust.generations {
            let wanted = "milan, genoa, turin, or an FMSPC of 12 hexadecimal digits";
            match (product(generation), hex::array(generation)) {
                (Some(product), _) => distrust.products.push(product),
                (None, Some(family)) => families.push(family),
                (None, None) => return Err(value("distrust.generations", generation, wanted)),
            }
        }
        for signer in &file.distrust.signers {
            let digest = Digest::from_hex(signer);
            distrust.signers.push(digest.ok_or_else(|| value("distrust.signers", signer, "SHA-256 of a key, 64 hexadecimal digits"))?);
        }
        let (alias_check, mitigations) = (file.snp.alias_check, file.snp.mitigations);
        let tcb = file.snp.tcb.iter().map(floor).collect::<Result<Vec<_>, _>>()?;
        let twice = tcb.iter().enumerate().find(|(at, floor)| tcb.iter().take(*at).any(|other| other.product == floor.product));
        if let Some((_, floor)) = twice {
            return Err(value("snp.tcb.product", floor.product.as_str(), "each product once"));
        }
        Ok(Self {
            snp: snp::Policy { alias_check, mitigations, tcb, distrust, ..snp::Policy::default() },
            nitro: nitro::Policy::default(),
            statuses: statuses.iter().map(|word| status(word)).collect::<Result<_, _>>()?,
            evaluation: file.tdx.evaluation,
            families,
            platforms,
        })
    }

    /// For a VM of Azure: its paravisor is at VMPL 0.
    pub(in crate::machine) fn azure(&self) -> snp::Policy {
        snp::Policy { most_vmpl: 0, ..self.snp.clone() }
    }

    /// For a TD.
    pub(in crate::machine) fn tdx(&self) -> tdx::Policy<'_> {
        tdx::Policy {
            statuses: &self.statuses,
            distrusted_generations: &self.families,
            distrusted_chips: &self.platforms,
            ..tdx::Policy::SHIPPED
        }
    }

    /// The least that Intel's collateral may be.
    pub(in crate::machine) fn tdx_floors(&self) -> Floors<'static> {
        Floors { evaluation: self.evaluation, ..Floors::default() }
    }
}

fn value(key: &'static str, found: &str, wanted: &'static str) -> PolicyError {
    PolicyError::Value { key, found: found.to_owned(), wanted }
}

fn product(word: &str) -> Option<Product> {
    [Product::Milan, Product::Genoa, Product::Turin].into_iter().find(|product| product.as_str().eq_ignore_ascii_case(word))
}

fn floor(section: &FloorSection) -> Result<TcbFloor, PolicyError> {
    let product = product(&section.product).ok_or_else(|| value("snp.tcb.product", &section.product, "milan, genoa or turin"))?;
    let levels = |levels: &Levels| {
        let Levels { bootloader, tee, snp, microcode, fmc } = *levels;
        if fmc.is_some() == (product == Product::Turin) {
            Ok(Tcb { fmc, bootloader, tee, snp, microcode })
        } else {
            Err(value("snp.tcb", &section.product, "fmc for turin, and for no other"))
        }
    };
    Ok(TcbFloor { product, reported: levels(&section.reported)?, committed: levels(&section.committed)?, launch: levels(&section.launch)? })
}

/// A status that a genuine platform can have; nobody can take one that Intel withdrew.
fn status(word: &str) -> Result<TcbStatus, PolicyError> {
    let known = TcbStatus::parse(word).filter(|status| *status != TcbStatus::Revoked);
    known.ok_or_else(|| {
        value("tdx.statuses", word, "UpToDate, SWHardeningNeeded, ConfigurationNeeded or another status that Intel gives, not Revoked")
    })
}
