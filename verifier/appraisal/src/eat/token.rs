//! Tokens as they come: parsed, nothing decided.

use super::LONGEST;
use super::claims::{Claims, Rendered, few};
use crate::cose::{CoseError, Sign1, cbor};
use crate::jose::{Algorithm, Compact, Header, Jwk, PublicKey};
use crate::json::{self, Tree};
use serde_json::Value;
use thiserror::Error;

/// The tag of a CWT, which wants one of COSE behind it (RFC 8392, 6).
const CWT_TAG: [u8; 2] = [0xd8, 0x3d];
/// The tag of a `COSE_Sign1` (RFC 9052, 2).
const SIGN1_TAG: u8 = 0xd2;

/// Why bytes are no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// Not the compact form, or its header is no JSON.
    #[error("no JWT: {0}; send the token as its issuer handed it out")]
    Jwt(String),
    /// Not a `COSE_Sign1`.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// Claims that are none.
    #[error("the token's claims: {0}; no reader would be sure of them")]
    Claims(String),
    /// A key that is none.
    #[error("{0}")]
    Key(String),
}

/// A parsed token, of which nothing is known to be true yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    header: Value,
    algorithm: Option<Algorithm>,
    algorithm_name: String,
    critical: bool,
    key_id: Option<Vec<u8>>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    claims: Claims,
}

impl Token {
    /// Reads a JWT (RFC 7519) in the compact form.
    ///
    /// # Errors
    /// [`TokenError::Jwt`], [`TokenError::Claims`].
    pub fn of_jwt(token: &[u8]) -> Result<Self, TokenError> {
        let compact = Compact::parse(token, LONGEST).map_err(TokenError::Jwt)?;
        few(json::values(&compact.header) + json::values(&compact.claims)).map_err(TokenError::Jwt)?;
        let known: Header<'_> = json::parse(&compact.header).map_err(TokenError::Jwt)?;
        let Tree(header) = json::parse(&compact.header).map_err(TokenError::Jwt)?;
        let name = known.algorithm.as_deref().unwrap_or("no alg").to_owned();
        Ok(Self {
            algorithm: Algorithm::of_jose(&name),
            algorithm_name: name,
            // Also where it is null.
            critical: header.get("crit").is_some(),
            header,
            key_id: known.key_id.map(|id| id.0.into_owned().into_bytes()),
            signed: compact.signed.to_vec(),
            claims: Claims::of_json(&compact.claims).map_err(TokenError::Claims)?,
            signature: compact.signature,
        })
    }

    /// Reads a CWT (RFC 8392) in a `COSE_Sign1`, with or without the tags of both.
    ///
    /// # Errors
    /// [`TokenError::Cose`], [`TokenError::Claims`].
    pub fn of_cwt(token: &[u8]) -> Result<Self, TokenError> {
        let message = Sign1::parse(token.strip_prefix(&CWT_TAG).filter(|rest| rest.first() == Some(&SIGN1_TAG)).unwrap_or(token))?;
        let form = cbor::Form { tags: true, breaks: false };
        let header = match message.protected_bytes() {
            [] => Value::Object(serde_json::Map::new()),
            bytes => cbor::decode::<Rendered>(bytes, form).map_err(TokenError::Claims)?.0,
        };
        let algorithm = message.protected().alg.as_ref();
        Ok(Self {
            algorithm: algorithm.and_then(Algorithm::of_cose),
            algorithm_name: header.get("1").map_or_else(|| "no alg".to_owned(), ToString::to_string),
            critical: header.get("2").is_some() || !message.unprotected().crit.is_empty(),
            key_id: Some(message.protected().key_id.clone()).filter(|id| !id.is_empty()),
            header,
            signed: message.signed_bytes(),
            signature: message.signature().to_vec(),
            claims: Claims::of_cbor(message.payload()).map_err(TokenError::Claims)?,
        })
    }

    /// The header that is signed.
    #[must_use]
    pub fn header(&self) -> &Value {
        &self.header
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    pub(super) fn algorithm_name(&self) -> &str {
        &self.algorithm_name
    }

    pub(super) fn is_critical(&self) -> bool {
        self.critical
    }

    pub(super) fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    pub(super) fn is_signed_by(&self, key: &Key, algorithm: Algorithm) -> bool {
        key.public.verifies(algorithm, &self.signed, &self.signature)
    }
}

/// An issuer's key, as somebody gave it who knows whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub(super) public: PublicKey,
    algorithm: Option<String>,
    id: Option<String>,
    for_signatures: bool,
}

impl Key {
    /// Reads a JWK (RFC 7517). Its private part, if it has one, plays no part.
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn of_jwk(bytes: &[u8]) -> Result<Self, TokenError> {
        let jwk: Jwk<'_> = json::parse(bytes).map_err(TokenError::Key)?;
        let public = PublicKey::of_jwk(&jwk).map_err(|error| TokenError::Key(error.to_string()))?;
        let algorithm = jwk.algorithm.as_deref().map(ToOwned::to_owned);
        // RFC 7517, 4.2 and 4.3: either may say so.
        let used = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let operates = jwk.operations.as_ref().is_none_or(|all| all.iter().any(|one| **one == *"verify"));
        Ok(Self { public, algorithm, id: jwk.key_id.map(|id| id.0.into_owned()), for_signatures: used && operates })
    }

    /// Reads a `SubjectPublicKeyInfo`, DER.
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn of_spki(bytes: &[u8]) -> Result<Self, TokenError> {
        let public = PublicKey::of_spki(bytes).map_err(|error| TokenError::Key(error.to_string()))?;
        Ok(Self { public, algorithm: None, id: None, for_signatures: true })
    }

    /// How its issuer calls it, if it says so.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether it is for signatures by `algorithm`: by its type, and by what it says of itself.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.for_signatures && self.public.fits(algorithm) && self.algorithm.as_deref().is_none_or(|name| name == algorithm.name())
    }
}
