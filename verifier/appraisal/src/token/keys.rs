//! The public keys by which a cluster signs its tokens, pinned when the cluster was registered and parsed once.

use aws_lc_rs::signature::ParsedPublicKey;

use crate::jose::{Algorithm, Jwk, KeyError, PublicKey};
use crate::json::{self, object};

/// Most keys of one cluster that are taken; a cluster has one or two.
const MOST_KEYS: usize = 32;

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
    let public = PublicKey::of_jwk(jwk).map_err(|error| match error {
        KeyError::Unsupported(found) => unsupported(found),
        KeyError::Invalid(problem) => JwksError::Invalid { kid: id.to_owned(), problem },
    })?;
    let public = public.parsed(algorithm).ok_or_else(|| unsupported("not for this algorithm".to_owned()))?;
    Ok(Key { id: id.to_owned(), algorithm, public })
}

#[cfg(test)]
mod tests;
