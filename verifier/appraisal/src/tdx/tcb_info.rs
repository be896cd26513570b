//! TCB info: which security versions Intel knows for one kind of machine, and what it thinks of each.
//!
//! Intel PCS API 4, `TcbInfoV3`. Read from bytes whose signature was verified, and from no others.

use super::signed::Window;
use crate::hex;
use crate::json::{self, Text, object};

/// What Intel thinks of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcbStatus {
    /// Nothing is known against it.
    UpToDate,
    /// The software in the TD has to defend itself.
    SwHardeningNeeded,
    /// The machine has to be configured otherwise.
    ConfigurationNeeded,
    /// Both of these.
    ConfigurationAndSwHardeningNeeded,
    /// Older than what is safe.
    OutOfDate,
    /// Older than what is safe, and to be configured otherwise.
    OutOfDateConfigurationNeeded,
    /// Not to be trusted at all.
    Revoked,
}

impl TcbStatus {
    const ALL: [Self; 7] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::Revoked,
    ];

    /// Intel's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }

    /// The status for Intel's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// This status of a platform, with a part of it (TDX module, quoting enclave) at `part`.
    #[must_use]
    pub fn with(self, part: Self) -> Self {
        match (self, part) {
            (Self::Revoked, _) | (_, Self::Revoked) => Self::Revoked,
            (Self::UpToDate | Self::SwHardeningNeeded, Self::OutOfDate) => Self::OutOfDate,
            (Self::ConfigurationNeeded | Self::ConfigurationAndSwHardeningNeeded, Self::OutOfDate) => Self::OutOfDateConfigurationNeeded,
            // The service gives parts no other status than the three above.
            (_, Self::UpToDate | Self::OutOfDate) => self,
            (Self::UpToDate, other) => other,
            (_, _) => Self::OutOfDateConfigurationNeeded,
        }
    }
}

/// What Intel thinks of one level, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// What Intel thinks of it.
    pub status: TcbStatus,
    /// Date of the level, as the service writes it.
    pub date: String,
    /// Security advisories that this level has not dealt with.
    pub advisories: Vec<String>,
}

/// A level of one number: whatever has at least `isvsvn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SvnLevel {
    pub(super) isvsvn: u16,
    pub(super) level: Level,
}

/// A level of the platform: whatever has at least all of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlatformLevel {
    pub(super) sgx: [u8; 16],
    pub(super) pcesvn: u16,
    pub(super) tdx: [u8; 16],
    pub(super) level: Level,
}

/// A TDX module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) id: String,
    pub(super) mrsigner: [u8; 48],
    pub(super) attributes: [u8; 8],
    pub(super) mask: [u8; 8],
    pub(super) levels: Vec<SvnLevel>,
}

/// TCB info, of which the signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TcbInfo {
    pub(super) window: Window,
    pub(super) evaluation: u32,
    pub(super) fmspc: [u8; 6],
    pub(super) pceid: [u8; 2],
    /// For modules of version 1.0, which have no identity of their own.
    pub(super) module: Option<Module>,
    pub(super) modules: Vec<Module>,
    pub(super) levels: Vec<PlatformLevel>,
}

object! {
    Info {
        id: Text<'a> = "id",
        version: u32 = "version",
        issue_date: Text<'a> = "issueDate",
        next_update: Text<'a> = "nextUpdate",
        fmspc: Text<'a> = "fmspc",
        pceid: Text<'a> = "pceId",
        tcb_type: u32 = "tcbType",
        evaluation: u32 = "tcbEvaluationDataNumber",
        module: ModuleJson<'a> = "tdxModule",
        modules: Vec<ModuleJson<'a>> = "tdxModuleIdentities",
        levels: Vec<LevelJson<'a>> = "tcbLevels",
    }
}
object! {
    ModuleJson {
        id: Text<'a> = "id",
        mrsigner: Text<'a> = "mrsigner",
        attributes: Text<'a> = "attributes",
        mask: Text<'a> = "attributesMask",
        levels: Vec<LevelJson<'a>> = "tcbLevels",
    }
}
object! {
    /// A level of a platform, a module or an enclave.
    LevelJson { tcb: Tcb<'a> = "tcb", date: Text<'a> = "tcbDate", status: Text<'a> = "tcbStatus", advisories: Vec<Text<'a>> = "advisoryIDs", }
}
object! {
    Tcb {
        sgx: Vec<Component<'a>> = "sgxtcbcomponents",
        pcesvn: u16 = "pcesvn",
        tdx: Vec<Component<'a>> = "tdxtcbcomponents",
        isvsvn: u16 = "isvsvn",
    }
}
object! {
    Component { svn: u8 = "svn", }
}

impl TcbInfo {
    /// Reads verified bytes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let info: Info<'_> = json::parse(bytes)?;
        let (id, version) = (info.id.as_deref().unwrap_or("none"), info.version.unwrap_or_default());
        if (id, version, info.tcb_type) != ("TDX", 3, Some(0)) {
            return Err(format!("TCB info {id} of version {version} and type {:?}", info.tcb_type.unwrap_or(u32::MAX)));
        }
        Self::of(info).ok_or_else(|| "TCB info that lacks a member, or has one of another form".to_owned())
    }

    fn of(info: Info<'_>) -> Option<Self> {
        Some(Self {
            window: Window::of_texts(&info.issue_date?, &info.next_update?)?,
            evaluation: info.evaluation?,
            fmspc: digits(&info.fmspc?)?,
            pceid: digits(&info.pceid?)?,
            module: info.module.map_or(Some(None), |module| Module::of(module).map(Some))?,
            modules: info.modules.unwrap_or_default().into_iter().map(Module::of).collect::<Option<_>>()?,
            levels: info.levels?.into_iter().map(PlatformLevel::of).collect::<Option<_>>()?,
        })
    }
}

impl Module {
    fn of(module: ModuleJson<'_>) -> Option<Self> {
        Some(Self {
            id: module.id.map(|id| id.to_string()).unwrap_or_default(),
            mrsigner: digits(&module.mrsigner?)?,
            attributes: digits(&module.attributes?)?,
            mask: digits(&module.mask?)?,
            levels: svn_levels(module.levels.unwrap_or_default())?,
        })
    }
}

impl PlatformLevel {
    fn of(json: LevelJson<'_>) -> Option<Self> {
        let level = Level::of(&json)?;
        let tcb = json.tcb?;
        Some(Self { sgx: components(&tcb.sgx?)?, pcesvn: tcb.pcesvn?, tdx: components(&tcb.tdx?)?, level })
    }
}

impl Level {
    fn of(json: &LevelJson<'_>) -> Option<Self> {
        Some(Self {
            status: TcbStatus::parse(json.status.as_deref()?)?,
            date: json.date.as_deref()?.to_owned(),
            advisories: json.advisories.iter().flatten().map(|advisory| advisory.to_string()).collect(),
        })
    }
}

/// Levels of one number each.
pub(super) fn svn_levels(levels: Vec<LevelJson<'_>>) -> Option<Vec<SvnLevel>> {
    levels.into_iter().map(|json| Some(SvnLevel { isvsvn: json.tcb.as_ref()?.isvsvn?, level: Level::of(&json)? })).collect()
}

fn components(list: &[Component<'_>]) -> Option<[u8; 16]> {
    list.iter().map(|component| component.svn).collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Hexadecimal digits of exactly `N` bytes.
pub(super) fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text)?.try_into().ok()
}
