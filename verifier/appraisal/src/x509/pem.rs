//! PEM (RFC 7468): blocks, and what their labels call them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Why text is no PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PemError {
    /// A block begins and does not end.
    #[error("a PEM block has no end; export it again")]
    NoEnd,
    /// Its base64 does not decode.
    #[error("the base64 of a PEM block is broken; export it again")]
    Base64,
}

/// Label and bytes of each block, in order; text around them is ignored.
///
/// # Errors
/// [`PemError`] for the first block that is none.
pub fn blocks(text: &str) -> Result<Vec<(&str, Vec<u8>)>, PemError> {
    let begun = text.split("-----BEGIN ").skip(1);
    let decode = |block: &'_ str| -> Result<Vec<u8>, PemError> {
        let body = block.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>();
        STANDARD.decode(body).map_err(|_| PemError::Base64)
    };
    begun
        .map(|block| {
            let (block, end) = block.split_once("-----END ").ok_or(PemError::NoEnd)?;
            let (label, body) = block.split_once("-----").ok_or(PemError::NoEnd)?;
            let ends = end.strip_prefix(label).is_some_and(|end| end.starts_with("-----"));
            podseal_protocol::require(ends, PemError::NoEnd)?;
            Ok((label, decode(body)?))
        })
        .collect()
}
