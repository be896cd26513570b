//! The configuration file as it is written. An unknown key is an error: a misspelt limit must not be no limit.

use std::path::PathBuf;

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
    #[serde(default)]
    pub(super) limits: RawLimits,
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
