//! Where a platform, its TDX module and its quoting enclave stand among the levels that Intel names.
//!
//! Intel PCS API 4, the algorithms under Get TDX TCB Info and Get TDX QE Identity. Nothing here decides.

use super::collateral::Collateral;
use super::genuine::GenuineQuote;
use super::tcb_info::{Level, Module, SvnLevel, TcbInfo, TcbStatus};
use super::td_report::TdReport;

/// The outcome of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Whether the TCB info is for this kind of machine.
    pub fmspc_match: bool,
    /// Whether the TCB info is for this provisioning certification enclave.
    pub pceid_match: bool,
    /// The first level of the platform that it reaches; `None` if it reaches none.
    pub platform: Option<Level>,
    /// The TDX module.
    pub module: ModuleEvaluation,
    /// The quoting enclave.
    pub qe: QeEvaluation,
}

/// How the TDX module compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleEvaluation {
    /// Intel's name of its major version.
    pub id: String,
    /// Whether TCB info knows this major version.
    pub known: bool,
    /// Whether it is signed by whom Intel says.
    pub mrsigner_ok: bool,
    /// Whether its attributes are those that Intel says.
    pub attributes_ok: bool,
    /// Whether it has levels of its own: those of version 1.0 are levels of the platform.
    pub has_levels: bool,
    /// The first level that it reaches.
    pub level: Option<Level>,
}

/// How the quoting enclave compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QeEvaluation {
    /// Whether MISCSELECT is what Intel says.
    pub miscselect_ok: bool,
    /// Whether its attributes are those that Intel says.
    pub attributes_ok: bool,
    /// Whether it is signed by whom Intel says.
    pub mrsigner_ok: bool,
    /// Whether it is the product that Intel says.
    pub prodid_ok: bool,
    /// The first level that it reaches.
    pub level: Option<Level>,
}

impl Evaluation {
    /// Compares a quote with collateral.
    #[must_use]
    pub fn of(quote: &GenuineQuote, collateral: &Collateral) -> Self {
        let info = &collateral.tcb_info;
        Self {
            fmspc_match: info.fmspc == quote.pck.fmspc,
            pceid_match: info.pceid == quote.pck.pceid,
            platform: platform_level(quote, info).cloned(),
            module: ModuleEvaluation::of(&quote.body, info),
            qe: QeEvaluation::of(quote, collateral),
        }
    }

    /// What Intel thinks of all three together; `None` if one of them reaches no level.
    #[must_use]
    pub fn status(&self) -> Option<TcbStatus> {
        let module = if self.module.has_levels { self.module.level.as_ref()?.status } else { TcbStatus::UpToDate };
        Some(self.platform.as_ref()?.status.with(module).with(self.qe.level.as_ref()?.status))
    }

    /// Security advisories that any of the three has not dealt with, each once.
    #[must_use]
    pub fn advisories(&self) -> Vec<String> {
        let mut advisories = Vec::new();
        for level in [&self.platform, &self.module.level, &self.qe.level].into_iter().flatten() {
            for advisory in &level.advisories {
                if !advisories.contains(advisory) {
                    advisories.push(advisory.clone());
                }
            }
        }
        advisories
    }
}

/// The first level, in Intel's order, of which the platform reaches every number.
fn platform_level<'c>(quote: &GenuineQuote, info: &'c TcbInfo) -> Option<&'c Level> {
    let reaches = |has: &[u8], wants: &[u8]| has.iter().zip(wants).all(|(has, wants)| has >= wants);
    // The first two numbers are the module's own version, which modules since 1.5 compare by their identities.
    let own = if module_major(&quote.body) == 0 { 0 } else { 2 };
    let reached = info.levels.iter().find(|level| {
        reaches(&quote.pck.components, &level.sgx)
            && quote.pck.pcesvn >= level.pcesvn
            && reaches(quote.body.tee_tcb_svn.get(own..).unwrap_or_default(), level.tdx.get(own..).unwrap_or_default())
    });
    reached.map(|level| &level.level)
}

fn module_major(body: &TdReport) -> u8 {
    let [_, major, ..] = body.tee_tcb_svn;
    major
}

fn svn_level(levels: &[SvnLevel], svn: u16) -> Option<Level> {
    levels.iter().find(|level| svn >= level.isvsvn).map(|level| level.level.clone())
}

impl ModuleEvaluation {
    fn of(body: &TdReport, info: &TcbInfo) -> Self {
        let major = module_major(body);
        let (id, module) = match major {
            0 => ("TDX_MODULE_1.0".to_owned(), info.module.as_ref()),
            _ => {
                let id = format!("TDX_{major:02X}");
                let module = info.modules.iter().find(|module| module.id == id);
                (id, module)
            }
        };
        let [minor, ..] = body.tee_tcb_svn;
        Self {
            id,
            known: module.is_some(),
            mrsigner_ok: module.is_some_and(|module| module.mrsigner == body.mrsignerseam),
            attributes_ok: module.is_some_and(|module| attributes_ok(module, body)),
            has_levels: major != 0,
            level: module.and_then(|module| svn_level(&module.levels, u16::from(minor))),
        }
    }

    /// Whether it is a module that Intel names.
    #[must_use]
    pub fn is_intels(&self) -> bool {
        self.known && self.mrsigner_ok && self.attributes_ok
    }
}

fn attributes_ok(module: &Module, body: &TdReport) -> bool {
    masked(&body.seamattributes, &module.mask) == module.attributes
}

impl QeEvaluation {
    fn of(quote: &GenuineQuote, collateral: &Collateral) -> Self {
        let (qe, identity) = (&quote.qe, &collateral.qe_identity);
        Self {
            miscselect_ok: masked(&qe.miscselect, &identity.miscselect_mask) == identity.miscselect,
            attributes_ok: masked(&qe.attributes, &identity.attributes_mask) == identity.attributes,
            mrsigner_ok: qe.mrsigner == identity.mrsigner,
            prodid_ok: qe.isvprodid == identity.isvprodid,
            level: svn_level(&identity.levels, qe.isvsvn),
        }
    }

    /// Whether it is the enclave that Intel names.
    #[must_use]
    pub fn is_intels(&self) -> bool {
        self.miscselect_ok && self.attributes_ok && self.mrsigner_ok && self.prodid_ok
    }
}

fn masked<const N: usize>(bytes: &[u8; N], mask: &[u8; N]) -> [u8; N] {
    let mut masked = *bytes;
    masked.iter_mut().zip(mask).for_each(|(byte, mask)| *byte &= mask);
    masked
}
