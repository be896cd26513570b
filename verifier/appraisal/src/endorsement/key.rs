//! Which endorsements there are, and the one name of each.

use std::{fmt, str::FromStr};

use podseal_protocol::Digest;
use thiserror::Error;

use crate::hex;
use crate::snp::{Product, Tcb};

/// A chip's key for one TCB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vcek {
    product: Product,
    chip_id: [u8; 64],
    tcb: [u8; 8],
}

impl Vcek {
    /// `chip_id` and `tcb` as they stand in a report (`CHIP_ID`, `REPORTED_TCB`). Bytes that do not name the chip are not kept.
    #[must_use]
    pub fn new(product: Product, chip_id: [u8; 64], tcb: [u8; 8]) -> Self {
        let mut named = [0; 64];
        for (to, from) in named.iter_mut().zip(chip_id).take(product.chip_id_length()) {
            *to = from;
        }
        Self { product, chip_id: named, tcb }
    }

    /// The chip's generation.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The bytes that name the chip: 8 or 64.
    #[must_use]
    pub fn hardware_id(&self) -> &[u8] {
        self.chip_id.split_at_checked(self.product.chip_id_length()).map_or(&[], |(id, _)| id)
    }

    /// `TCB_VERSION` as it stands in a report.
    #[must_use]
    pub fn tcb(&self) -> [u8; 8] {
        self.tcb
    }

    /// The levels of the TCB that the key is for.
    #[must_use]
    pub fn levels(&self) -> Tcb {
        Tcb::of_bytes(self.tcb, Some(self.product))
    }
}

/// Which of Intel's authorities certified a platform's PCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PckCa {
    /// Platforms of one processor package.
    Processor,
    /// Platforms of several.
    Platform,
}

impl PckCa {
    /// As the service's parameter has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }
}

/// One thing that a maker publishes.
///
/// Its text ([`Display`](fmt::Display), [`FromStr`]) is the name that people and files use: `amd-milan-crl`, `intel-tdx-tcb-00806f050000`;
/// a list of any other authority is named by its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endorsement {
    /// The certificate of a chip's key.
    AmdVcek(Vcek),
    /// The certificates above such a key: ASK or, for VLEKs, ASVK, and ARK.
    AmdChain {
        /// The generation.
        product: Product,
        /// Above VLEKs, which a cloud's machines share, rather than VCEKs.
        vlek: bool,
    },
    /// The list of revoked ASKs and ASVKs, signed by the ARK.
    AmdCrl {
        /// The generation.
        product: Product,
    },
    /// The TCB levels of a family of TDX platforms, with the certificates that sign them.
    IntelTcbInfo {
        /// Family, model, stepping, platform and custom SKU, as in the PCK certificate.
        fmspc: [u8; 6],
    },
    /// The identity of the TD quoting enclave, with the certificates that sign it.
    IntelQeIdentity,
    /// The list of revoked PCKs, with the certificates of who signed it.
    IntelPckCrl {
        /// Whose list.
        ca: PckCa,
    },
    /// The list of Intel's root.
    IntelRootCrl,
    /// The list of any authority, by its address.
    Crl {
        /// `http://` or `https://`; made by [`Endorsement::crl`].
        url: String,
    },
}

/// What an endorsement is, for how long it may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Certificates, which do not change.
    Certificates,
    /// A revocation list.
    Crl,
    /// TCB levels.
    TcbInfo,
    /// The quoting enclave's identity.
    QeIdentity,
}

/// A text that names no endorsement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "found {0:?}, wanted the name of an endorsement: amd-PRODUCT-vcek-CHIP-TCB, amd-PRODUCT-chain, amd-PRODUCT-vlek-chain, amd-PRODUCT-crl, \
     intel-tdx-tcb-FMSPC, intel-tdx-qe-identity, intel-pck-crl-processor, intel-pck-crl-platform, intel-root-crl, or the address of a \
     revocation list (PRODUCT: milan, genoa or turin; CHIP, TCB and FMSPC: hexadecimal digits, lower case)"
)]
pub struct NotAnEndorsement(pub String);

/// Longest address of a revocation list, in bytes.
const LONGEST_URL: usize = 1024;

impl Endorsement {
    /// The list at `url`; `None` where it is no plain `http://` or `https://` address.
    #[must_use]
    pub fn crl(url: &str) -> Option<Self> {
        let after = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
        let (host, path) = after.split_once('/')?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte);
        let named = !host.is_empty() && !host.contains(['@', '?']);
        let straight = !path.split(['/', '?']).any(|part| part == ".." || part == ".");
        (url.len() <= LONGEST_URL && url.bytes().all(plain) && named && straight).then(|| Self::Crl { url: url.to_owned() })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::AmdVcek(_) | Self::AmdChain { .. } => Kind::Certificates,
            Self::AmdCrl { .. } | Self::IntelPckCrl { .. } | Self::IntelRootCrl | Self::Crl { .. } => Kind::Crl,
            Self::IntelTcbInfo { .. } => Kind::TcbInfo,
            Self::IntelQeIdentity => Kind::QeIdentity,
        }
    }

    /// The name of the file that holds it: at most 180 bytes of lower-case letters, digits and `-`, and `.pem`.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Crl { url } => format!("crl-{}.pem", Digest::of(url.as_bytes())),
            other => format!("{other}.pem"),
        }
    }
}

impl fmt::Display for Endorsement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AmdVcek(vcek) => {
                write!(f, "amd-{}-vcek-{}-{}", lower(vcek.product), hex::encode(vcek.hardware_id()), hex::encode(&vcek.tcb))
            }
            Self::AmdChain { product, vlek: false } => write!(f, "amd-{}-chain", lower(*product)),
            Self::AmdChain { product, vlek: true } => write!(f, "amd-{}-vlek-chain", lower(*product)),
            Self::AmdCrl { product } => write!(f, "amd-{}-crl", lower(*product)),
            Self::IntelTcbInfo { fmspc } => write!(f, "intel-tdx-tcb-{}", hex::encode(fmspc)),
            Self::IntelQeIdentity => f.write_str("intel-tdx-qe-identity"),
            Self::IntelPckCrl { ca } => write!(f, "intel-pck-crl-{}", ca.as_str()),
            Self::IntelRootCrl => f.write_str("intel-root-crl"),
            Self::Crl { url } => f.write_str(url),
        }
    }
}

impl FromStr for Endorsement {
    type Err = NotAnEndorsement;

    fn from_str(text: &str) -> Result<Self, NotAnEndorsement> {
        let parsed = parse(text).or_else(|| Self::crl(text));
        // One name each: what is read is what would be written.
        parsed.filter(|parsed| parsed.to_string() == text).ok_or_else(|| NotAnEndorsement(text.to_owned()))
    }
}

fn lower(product: Product) -> String {
    product.as_str().to_ascii_lowercase()
}

fn parse(text: &str) -> Option<Endorsement> {
    match text {
        "intel-tdx-qe-identity" => return Some(Endorsement::IntelQeIdentity),
        "intel-pck-crl-processor" => return Some(Endorsement::IntelPckCrl { ca: PckCa::Processor }),
        "intel-pck-crl-platform" => return Some(Endorsement::IntelPckCrl { ca: PckCa::Platform }),
        "intel-root-crl" => return Some(Endorsement::IntelRootCrl),
        _ => {}
    }
    if let Some(fmspc) = text.strip_prefix("intel-tdx-tcb-") {
        return Some(Endorsement::IntelTcbInfo { fmspc: hex::decode(fmspc)?.try_into().ok()? });
    }
    let (product, what) = text.strip_prefix("amd-")?.split_once('-')?;
    let product = Product::ALL.into_iter().find(|known| lower(*known) == product)?;
    match what {
        "chain" => Some(Endorsement::AmdChain { product, vlek: false }),
        "vlek-chain" => Some(Endorsement::AmdChain { product, vlek: true }),
        "crl" => Some(Endorsement::AmdCrl { product }),
        _ => {
            let (chip, tcb) = what.strip_prefix("vcek-")?.split_once('-')?;
            let mut chip = hex::decode(chip)?;
            if chip.len() != product.chip_id_length() {
                return None;
            }
            chip.resize(64, 0);
            Some(Endorsement::AmdVcek(Vcek::new(product, chip.try_into().ok()?, hex::decode(tcb)?.try_into().ok()?)))
        }
    }
}
