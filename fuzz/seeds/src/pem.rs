//! PEM (RFC 7468), where it is well-formed.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The DER of each block of a PEM file; of any other file, nothing.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.split("-----BEGIN ").skip(1).filter_map(block).collect()
}

fn block(text: &str) -> Option<Vec<u8>> {
    let body = text.split_once("-----")?.1.split_once("-----END ")?.0;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// A block of lines of 64 characters.
pub(super) fn written(label: &str, bytes: &[u8]) -> String {
    let mut lines = format!("-----BEGIN {label}-----\n");
    for (n, character) in STANDARD.encode(bytes).chars().enumerate() {
        if n > 0 && n % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    format!("{lines}\n-----END {label}-----\n")
}
