//! The messages of a Nitro security module, CBOR (aws/aws-nitro-enclaves-nsm-api, src/api.rs): the request for an attestation document
//! and its answer. NSM's device and NitroTPM's vendor command carry the same.

use std::path::Path;

use podseal_protocol::require;

use super::CollectError;

/// Bytes that user data and nonce may have each.
pub const MOST_DATA: usize = 512;
/// Bytes that a public key may have.
pub const MOST_KEY: usize = 1024;

/// Major types (RFC 8949, section 3.1).
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const MAP: u8 = 5;
const NULL: u8 = 0xf6;

/// What the document is to carry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// At most [`MOST_DATA`] bytes.
    pub user_data: Option<&'a [u8]>,
    /// At most [`MOST_DATA`] bytes.
    pub nonce: Option<&'a [u8]>,
    /// DER, at most [`MOST_KEY`] bytes.
    pub public_key: Option<&'a [u8]>,
}

impl Request<'_> {
    /// `{"Attestation": {"user_data": …, "nonce": …, "public_key": …}}`, each a byte string or null.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        head(&mut out, MAP, 1);
        text(&mut out, "Attestation");
        head(&mut out, MAP, 3);
        for (name, value) in [("user_data", self.user_data), ("nonce", self.nonce), ("public_key", self.public_key)] {
            text(&mut out, name);
            match value {
                Some(bytes) => {
                    head(&mut out, BYTES, bytes.len());
                    out.extend_from_slice(bytes);
                }
                None => out.push(NULL),
            }
        }
        out
    }
}

/// The document in an answer: `{"Attestation": {"document": …}}`. What follows the answer is left alone: a buffer is longer than its message.
///
/// # Errors
/// [`CollectError::Nsm`] for `{"Error": …}`, [`CollectError::Answer`] for anything else.
pub fn document<'a>(path: &Path, answer: &'a [u8]) -> Result<&'a [u8], CollectError> {
    let mut rest = answer;
    let parsed = match (take_map(&mut rest), take_text(&mut rest)) {
        (Some(1), Some("Attestation")) => match (take_map(&mut rest), take_text(&mut rest)) {
            (Some(1), Some("document")) => take(&mut rest, BYTES),
            _ => None,
        },
        (Some(1), Some("Error")) => {
            let said = take_text(&mut rest).unwrap_or("without a name").to_owned();
            return Err(CollectError::Nsm { path: path.to_owned(), said });
        }
        _ => None,
    };
    let malformed = || CollectError::Answer {
        path: path.to_owned(),
        what: "answer of the Nitro security module",
        found: format!("{:02x?}…", answer.get(..answer.len().min(16)).unwrap_or_default()),
        wanted: "{\"Attestation\": {\"document\": bytes}}".into(),
        remedy: "correct evidence.nsm or tpm.tcti: this is no Nitro security module, or one of a later version",
    };
    let document = parsed.ok_or_else(malformed)?;
    require(!document.is_empty(), malformed())?;
    Ok(document)
}

/// The text behind the first key of this name, wherever in `document` that stands.
pub(super) fn text_field(document: &[u8], name: &str) -> Option<String> {
    let mut key = Vec::new();
    text(&mut key, name);
    let at = document.windows(key.len()).position(|window| window == key)?;
    let mut rest = document.get(at + key.len()..)?;
    take_text(&mut rest).map(str::to_owned)
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, TEXT, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Major type and argument, in the fewest bytes (RFC 8949, section 4.2.1). All lengths here fit two bytes.
fn head(out: &mut Vec<u8>, major: u8, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    match u8::try_from(length) {
        Ok(length) if length < 24 => out.push(major << 5 | length),
        Ok(length) => out.extend([major << 5 | 24, length]),
        Err(_) => {
            out.push(major << 5 | 25);
            out.extend(length.to_be_bytes());
        }
    }
}

/// The argument of the next item, which has to be of this major type and of a stated length.
fn take_head(rest: &mut &[u8], major: u8) -> Option<usize> {
    let (first, after) = rest.split_first()?;
    if first >> 5 != major {
        return None;
    }
    *rest = after;
    match first & 0x1f {
        short @ 0..24 => Some(usize::from(short)),
        24 => number::<1>(rest),
        25 => number::<2>(rest),
        26 => number::<4>(rest),
        _ => None,
    }
}

fn number<const N: usize>(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn take<'a>(rest: &mut &'a [u8], major: u8) -> Option<&'a [u8]> {
    let length = take_head(rest, major)?;
    let (item, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(item)
}

fn take_map(rest: &mut &[u8]) -> Option<usize> {
    take_head(rest, MAP)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take(rest, TEXT)?).ok()
}
