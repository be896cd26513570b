//! Where hardware evidence is collected: `[evidence]`. Each path has the kernel's own as its default, so that a node needs none of the keys.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use toml::Spanned;

use super::raw::{Keyed, path_or, within};

const TSM: &str = "/sys/kernel/config/tsm/report";
const SEV_GUEST: &str = "/dev/sev-guest";
const RTMR: &str = "/sys/devices/virtual/misc/tdx_guest/measurements/rtmr3:sha384";
const CCEL: &str = "/sys/firmware/acpi/tables/data/CCEL";
const CCEL_TABLE: &str = "/sys/firmware/acpi/tables/CCEL";
const NSM: &str = "/dev/nsm";
const KEY: &str = "/var/lib/podseal/node-key";
/// The paravisor needs two to three seconds for a new report.
const AZURE_WAIT_MS: u64 = 3_000;

/// Paths, and what evidence is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// configfs-tsm's report folder.
    pub tsm: PathBuf,
    /// The device that is asked where there is no configfs-tsm.
    pub sev_guest: PathBuf,
    /// The VMPL that an SEV-SNP report is asked for, 0 to 3; where nothing is said, the kernel's (0).
    pub privlevel: Option<u8>,
    /// The attribute of TDX's run-time register 3.
    pub rtmr: PathBuf,
    /// TDX's event log.
    pub ccel: PathBuf,
    /// The ACPI table beside it.
    pub ccel_table: PathBuf,
    /// The Nitro security module of an enclave.
    pub nsm: PathBuf,
    /// The file with the node's own key, where hardware has none that is this node's alone.
    pub key: PathBuf,
    /// From writing Azure's report data to reading the report, at least.
    pub azure_wait: Duration,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            tsm: TSM.into(),
            sev_guest: SEV_GUEST.into(),
            privlevel: None,
            rtmr: RTMR.into(),
            ccel: CCEL.into(),
            ccel_table: CCEL_TABLE.into(),
            nsm: NSM.into(),
            key: KEY.into(),
            azure_wait: Duration::from_millis(AZURE_WAIT_MS),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvidence {
    tsm: Option<Spanned<String>>,
    sev_guest: Option<Spanned<String>>,
    privlevel: Option<Spanned<u64>>,
    rtmr: Option<Spanned<String>>,
    ccel: Option<Spanned<String>>,
    ccel_table: Option<Spanned<String>>,
    nsm: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    azure_wait_ms: Option<Spanned<u64>>,
}

impl RawEvidence {
    pub(super) fn check(self) -> Result<Evidence, Keyed> {
        let level = self.privlevel.as_ref().map(|level| within(Some(level), "evidence.privlevel", 0, 0, 3)).transpose()?;
        Ok(Evidence {
            tsm: path_or(self.tsm.as_ref(), "evidence.tsm", TSM)?,
            sev_guest: path_or(self.sev_guest.as_ref(), "evidence.sev_guest", SEV_GUEST)?,
            privlevel: level.and_then(|level| u8::try_from(level).ok()),
            rtmr: path_or(self.rtmr.as_ref(), "evidence.rtmr", RTMR)?,
            ccel: path_or(self.ccel.as_ref(), "evidence.ccel", CCEL)?,
            ccel_table: path_or(self.ccel_table.as_ref(), "evidence.ccel_table", CCEL_TABLE)?,
            nsm: path_or(self.nsm.as_ref(), "evidence.nsm", NSM)?,
            key: path_or(self.key.as_ref(), "evidence.key", KEY)?,
            azure_wait: within(self.azure_wait_ms.as_ref(), "evidence.azure_wait_ms", AZURE_WAIT_MS, 100, 60_000)
                .map(Duration::from_millis)?,
        })
    }
}
