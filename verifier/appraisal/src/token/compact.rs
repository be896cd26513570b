//! The compact serialization of RFC 7515, and the JSON inside: parsing only, nothing here decides.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::json::{Skipped, Text, object};

/// Longest token taken, in bytes. A projected token has one to two thousand.
const LONGEST: usize = 16 << 10;

/// The three parts, decoded; `signed` is what the signature covers, as it was received.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    pub(super) signed: &'a [u8],
    pub(super) header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Splits and decodes (RFC 7515, 7.1). base64url has one form only: no padding, no blanks, no stray bits (RFC 4648, 3.5).
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, String> {
        if token.len() > LONGEST {
            return Err(format!("{} bytes, at most {LONGEST} are taken", token.len()));
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

object! {
    /// RFC 7519, 4.1, and what Kubernetes adds.
    Claims {
        issuer: Text<'a> = "iss",
        subject: Text<'a> = "sub",
        audience: Audience<'a> = "aud",
        expires: u64 = "exp",
        issued: u64 = "iat",
        not_before: u64 = "nbf",
        kubernetes: Kubernetes<'a> = "kubernetes.io",
    }
}

object! {
    /// The private claims of bound service-account tokens.
    Kubernetes {
        namespace: Text<'a> = "namespace",
        pod: Object<'a> = "pod",
        node: Object<'a> = "node",
        service_account: Object<'a> = "serviceaccount",
    }
}

object! {
    /// A Kubernetes object that a token is bound to.
    Object {
        name: Text<'a> = "name",
        uid: Text<'a> = "uid",
    }
}

/// `aud`: one string or a list of them (RFC 7519, 4.1.3).
#[derive(Debug)]
pub(super) struct Audience<'a>(pub(super) Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Audience<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Audience<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Audience<'de>, E> {
                Ok(Audience(vec![Text(text.to_owned().into())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Audience(all))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}
