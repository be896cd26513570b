//! `[hardware]`: at whose roots evidence of hardware other than a TPM's EK may end.

use std::{fs, path::Path};

use podseal_appraisal::machine::Hardware;

use super::{ConfigError, raw, read};
use crate::permissions::{self, Kind};

/// Files of one folder.
const MOST_FILES: usize = 256;

/// Nobody's without the section: whose machines may join is asked for. The folder's roots, or with an empty section the makers' that are
/// built in. A relative path is relative to the configuration file.
pub(super) fn check(raw: Option<&raw::RawHardware>, base: &Path) -> Result<Hardware, ConfigError> {
    let Some(raw) = raw else { return Ok(Hardware::none()) };
    let Some(folder) = &raw.roots else { return Ok(Hardware::shipped("")?) };
    let folder = base.join(folder);
    permissions::check("hardware.roots", &folder, Kind::TrustedDirectory)?;
    let failed = |error| ConfigError::Read { path: folder.clone(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.is_file() {
            continue;
        }
        podseal_protocol::require(
            files.len() < MOST_FILES,
            ConfigError::Value {
                key: "hardware.roots",
                found: format!("more than {MOST_FILES} files"),
                wanted: "a folder of files like those of policies/roots, or of certificates in PEM",
            },
        )?;
        permissions::check("hardware.roots", &path, Kind::TrustedFile)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, read(&path)?));
    }
    // Directories have no order; which root is named first must not depend on it.
    files.sort();
    Ok(Hardware::new(files, "")?)
}
