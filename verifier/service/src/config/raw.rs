//! The configuration file as it is written. An unknown key is an error: a misspelt limit must not be no limit.

use std::path::PathBuf;

use podseal_endorsements::SYSTEM_ROOTS;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) listen: String,
    pub(super) data_directory: PathBuf,
    pub(super) database: Option<PathBuf>,
    pub(super) archive_directory: Option<PathBuf>,
    pub(super) kek_file: PathBuf,
    #[serde(default)]
    pub(super) admin: Vec<RawAdmin>,
    #[serde(default)]
    pub(super) ek_root: Vec<RawEkRoot>,
    pub(super) hardware: Option<RawHardware>,
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) endorsements: RawEndorsements,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    pub(super) name: String,
    pub(super) spki_sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEkRoot {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) kind: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHardware {
    pub(super) roots: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) connections: u32,
    pub(super) requests: u32,
    pub(super) request_seconds: u32,
    pub(super) pending_nodes: u32,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { connections: 1024, requests: 64, request_seconds: 30, pending_nodes: 256 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEndorsements {
    pub(super) directory: Option<PathBuf>,
    pub(super) size_mb: u32,
    pub(super) tls_roots: PathBuf,
    pub(super) connect_seconds: u32,
    pub(super) total_seconds: u32,
    pub(super) retry_seconds: u32,
    pub(super) certificate_days: u32,
    pub(super) crl_days: u32,
    pub(super) tcb_info_days: u32,
    pub(super) qe_identity_days: u32,
    pub(super) service: Vec<RawService>,
}

impl Default for RawEndorsements {
    fn default() -> Self {
        Self {
            directory: None,
            size_mb: 64,
            tls_roots: SYSTEM_ROOTS.into(),
            connect_seconds: 5,
            total_seconds: 10,
            retry_seconds: 60,
            certificate_days: 365,
            crl_days: 7,
            tcb_info_days: 7,
            qe_identity_days: 7,
            service: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    pub(super) kind: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) plain_http: bool,
}
