//! The public keys by which a cluster signs its tokens, pinned when the cluster was registered and parsed once.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::json::{self, Skipped, Text, object};

/// Most keys of one cluster that are taken; a cluster has one or two.
const MOST_KEYS: usize = 32;

/// The signature algorithms that are taken. `none` and the HMACs are not among them (RFC 8725, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    /// RFC 7518, 3.1.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// One pinned key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    pub(super) public: ParsedPublicKey,
}

/// A registered cluster: its configured id, its issuer, its keys. Two clusters of the same issuer stay two: the id chooses the keys.
#[derive(Debug, Clone)]
pub struct ClusterKeys {
    pub(super) cluster: String,
    pub(super) issuer: String,
    pub(super) tokens_name_nodes: bool,
    keys: Vec<Key>,
}

/// Why a JWKS cannot be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not the JSON of a JWKS.
    #[error("the JWKS does not parse: {0}: give the output of `kubectl get --raw /openid/v1/jwks` as it is")]
    Malformed(String),
    /// No key, or too many.
    #[error("the JWKS has {0} keys, wanted 1 to {MOST_KEYS}")]
    Count(usize),
    /// A key without `kid`.
    #[error("key {0} of the JWKS (counted from 1) has no kid: tokens could not name it")]
    NoKeyId(usize),
    /// Two keys of one `kid`.
    #[error("two keys of the JWKS have kid {0:?}: remove the one that signs no more")]
    SameKeyId(String),
    /// A key that does not sign by RS256 or ES256.
    #[error("key {kid:?} of the JWKS is {found}, wanted a public RSA key (RS256) or P-256 key (ES256) for signing: remove it")]
    Unsupported {
        /// Its `kid`.
        kid: String,
        /// What it is.
        found: String,
    },
    /// A key whose numbers are not a public key.
    #[error("key {kid:?} of the JWKS is no valid public key: {problem}")]
    Invalid {
        /// Its `kid`.
        kid: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

object! {
    /// RFC 7517, 5.
    Jwks { keys: Vec<Jwk<'a>> = "keys", }
}

object! {
    /// RFC 7517, 4; RFC 7518, 6.
    Jwk {
        key_type: Text<'a> = "kty",
        key_id: Text<'a> = "kid",
        usage: Text<'a> = "use",
        algorithm: Text<'a> = "alg",
        curve: Text<'a> = "crv",
        n: Text<'a> = "n",
        e: Text<'a> = "e",
        x: Text<'a> = "x",
        y: Text<'a> = "y",
        private: Skipped = "d",
    }
}

impl ClusterKeys {
    /// Parses `jwks` (RFC 7517) for the cluster registered as `cluster`, whose API server issues tokens as `issuer`. A cluster too old to
    /// put nodes into tokens (before Kubernetes 1.30) is declared so by `tokens_name_nodes` = false, and its receipts say it.
    ///
    /// # Errors
    /// [`JwksError`] when a key cannot be used: none is skipped silently.
    pub fn parse(cluster: &str, issuer: &str, jwks: &[u8], tokens_name_nodes: bool) -> Result<Self, JwksError> {
        let parsed: Jwks<'_> = json::parse(jwks).map_err(JwksError::Malformed)?;
        let found = parsed.keys.unwrap_or_default();
        if found.is_empty() || found.len() > MOST_KEYS {
            return Err(JwksError::Count(found.len()));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(found.len());
        for (index, jwk) in found.iter().enumerate() {
            let id = jwk.key_id.as_deref().ok_or(JwksError::NoKeyId(index + 1))?;
            if keys.iter().any(|key| key.id == id) {
                return Err(JwksError::SameKeyId(id.to_owned()));
            }
            keys.push(key(id, jwk)?);
        }
        Ok(Self { cluster: cluster.to_owned(), issuer: issuer.to_owned(), tokens_name_nodes, keys })
    }

    /// The configured id of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The `kid`s, for showing.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

fn key(id: &str, jwk: &Jwk<'_>) -> Result<Key, JwksError> {
    let unsupported = |found: String| JwksError::Unsupported { kid: id.to_owned(), found };
    if jwk.private.is_some() {
        return Err(unsupported("a private key".to_owned()));
    }
    if let Some(usage) = jwk.usage.as_deref().filter(|usage| *usage != "sig") {
        return Err(unsupported(format!("for use {usage:?}")));
    }
    let algorithm = match (jwk.key_type.as_deref(), jwk.curve.as_deref()) {
        (Some("RSA"), None) => Algorithm::Rs256,
        (Some("EC"), Some("P-256")) => Algorithm::Es256,
        (kind, curve) => return Err(unsupported(format!("of type {} {}", kind.unwrap_or("none"), curve.unwrap_or("")))),
    };
    if let Some(other) = jwk.algorithm.as_deref().filter(|name| *name != algorithm.name()) {
        return Err(unsupported(format!("for algorithm {other:?}")));
    }
    let public = match algorithm {
        Algorithm::Rs256 => rsa(jwk),
        Algorithm::Es256 => p256(jwk),
    };
    let public = public.map_err(|problem| JwksError::Invalid { kid: id.to_owned(), problem })?;
    Ok(Key { id: id.to_owned(), algorithm, public })
}

/// RFC 7518, 6.3.1: `n` and `e` are big-endian without leading zeros.
fn rsa(jwk: &Jwk<'_>) -> Result<ParsedPublicKey, &'static str> {
    let (n, e) = (number(jwk.n.as_ref())?, number(jwk.e.as_ref())?);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=4096).contains(&bits) {
        return Err("its modulus has not 2048 to 4096 bits");
    }
    // NIST SP 800-56B, 6.2: an odd exponent of at least 65537.
    let exponent = e.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    if e.len() > 4 || exponent < 65_537 || exponent.is_multiple_of(2) || e.first() == Some(&0) || n.first() == Some(&0) {
        return Err("its exponent or modulus is not in the one form that is taken (odd, at least 65537, no leading zeros)");
    }
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| "its numbers are not an RSA key")
}

/// RFC 7518, 6.2.1: `x` and `y` have the full length of a coordinate.
fn p256(jwk: &Jwk<'_>) -> Result<ParsedPublicKey, &'static str> {
    let (x, y) = (number(jwk.x.as_ref())?, number(jwk.y.as_ref())?);
    if x.len() != 32 || y.len() != 32 {
        return Err("its coordinates have not 32 bytes each");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| "its coordinates are not a point of P-256")
}

fn number(text: Option<&Text<'_>>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("one of its numbers is missing")?;
    URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| "one of its numbers is not canonical base64url")
}

#[cfg(test)]
mod tests;
