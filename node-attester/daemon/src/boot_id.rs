//! The kernel's boot id, from the file that the configuration names.

use std::{fs, path::Path};

use podseal_protocol::Limits;

/// Reads it.
///
/// # Errors
/// What is wrong with the file.
pub fn read(path: &Path, limits: &Limits) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let id = text.trim();
    if id.is_empty() || id.len() > limits.text {
        return Err(format!("found {} bytes, wanted 1 to {}", id.len(), limits.text));
    }
    Ok(id.to_owned())
}
