//! The compact serialization of RFC 7515.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::json::{Skipped, Text, object};

/// The three parts, decoded; `signed` is what the signature covers, as it was received.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    pub(crate) signed: &'a [u8],
    pub(crate) header: Vec<u8>,
    pub(crate) claims: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Splits and decodes a token of at most `longest` bytes (RFC 7515, 7.1). base64url has one form only: no padding, no blanks, no stray
    /// bits (RFC 4648, 3.5).
    ///
    /// # Errors
    /// What it is instead.
    pub(crate) fn parse(token: &'a [u8], longest: usize) -> Result<Self, String> {
        if token.len() > longest {
            return Err(format!("{} bytes, at most {longest} are taken", token.len()));
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(format!("{} part(s) between dots", token.split(|byte| *byte == b'.').count()));
        };
        let decode = |part: &[u8], name| URL_SAFE_NO_PAD.decode(part).map_err(|_| format!("the {name} is not canonical base64url"));
        let signed = token.get(..header.len() + 1 + claims.len()).ok_or("the parts end early")?;
        Ok(Self {
            signed,
            header: decode(header, "header")?,
            claims: decode(claims, "claims part")?,
            signature: decode(signature, "signature")?,
        })
    }
}

object! {
    /// RFC 7515, 4.1.
    Header {
        algorithm: Text<'a> = "alg",
        key_id: Text<'a> = "kid",
        critical: Skipped = "crit",
    }
}
