//! `[endorsements]`: where they are kept, whom to ask, how old they may be.

use std::{path::Path, time::Duration};

use podseal_appraisal::endorsement::{Service, ServiceKind};
use podseal_endorsements::{Ages, DAY, Deadlines, Place, Settings};

use super::{ConfigError, raw};

/// Relative paths are relative to the configuration file; without a directory of its own, it lies in the verifier's.
pub(super) fn check(raw: &raw::RawEndorsements, base: &Path, data_directory: &Path) -> Result<Settings, ConfigError> {
    let seconds = |key, value| Ok::<_, ConfigError>(Duration::from_secs(within(key, value, 300, "1 to 300")?));
    let days = |key, value| Ok::<_, ConfigError>(DAY * within(key, value, 3660, "1 to 3660")?);
    let deadlines = Deadlines {
        connect: seconds("endorsements.connect_seconds", raw.connect_seconds)?,
        total: seconds("endorsements.total_seconds", raw.total_seconds)?,
        retry: seconds("endorsements.retry_seconds", raw.retry_seconds)?,
    };
    let ages = Ages {
        certificates: days("endorsements.certificate_days", raw.certificate_days)?,
        crl: days("endorsements.crl_days", raw.crl_days)?,
        tcb_info: days("endorsements.tcb_info_days", raw.tcb_info_days)?,
        qe_identity: days("endorsements.qe_identity_days", raw.qe_identity_days)?,
    };
    Ok(Settings {
        directory: raw.directory.as_ref().map_or_else(|| data_directory.join("endorsements"), |path| base.join(path)),
        most_bytes: within("endorsements.size_mb", raw.size_mb, 65_536, "1 to 65536")? << 20,
        places: raw.service.iter().map(place).collect::<Result<_, _>>()?,
        deadlines,
        ages,
        tls_roots: base.join(&raw.tls_roots),
    })
}

fn within(key: &'static str, value: u32, most: u32, wanted: &'static str) -> Result<u64, ConfigError> {
    if (1..=most).contains(&value) { Ok(value.into()) } else { Err(ConfigError::Value { key, found: value.to_string(), wanted }) }
}

fn place(raw: &raw::RawService) -> Result<Place, ConfigError> {
    let wanted = "amd-kds, intel-pcs, intel-pccs, intel-certificates, azure-thim or crl";
    let wrong = || ConfigError::Value { key: "endorsements.service.kind", found: raw.kind.clone(), wanted };
    let kind = ServiceKind::parse(&raw.kind).ok_or_else(wrong)?;
    Ok(Place::new(Service { kind, url: raw.url.clone() }, raw.plain_http)?)
}
