//! Textual encoding of binary structures (RFC 7468).

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Characters in a full line of base64 (RFC 7468, 2).
const LINE: usize = 64;

/// Appends one block.
pub(super) fn write(out: &mut String, label: &str, bytes: &[u8]) {
    let encoded = STANDARD.encode(bytes);
    let mut rest = encoded.as_str();
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {label}-----\n"));
}

/// The blocks of `text`, label and bytes; what stands around them is skipped. `None` where one has no end, another label there, or no base64.
pub(super) fn read(text: &str) -> Option<Vec<(&str, Vec<u8>)>> {
    text.split("-----BEGIN ").skip(1).map(block).collect()
}

fn block(text: &str) -> Option<(&str, Vec<u8>)> {
    let (label, rest) = text.split_once("-----")?;
    let (body, end) = rest.split_once("-----END ")?;
    let body = body.chars().filter(|character| !character.is_ascii_whitespace()).collect::<String>();
    end.strip_prefix(label)?.strip_prefix("-----")?;
    Some((label, STANDARD.decode(body).ok()?))
}
