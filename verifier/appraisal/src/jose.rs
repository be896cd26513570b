//! JOSE: the compact form of a signed token, public keys, and what each key's signatures look like.
//!
//! RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (algorithms). Nothing here decides whose key it is.

pub(crate) mod compact;
pub(crate) mod key;

pub(crate) use compact::{Compact, Header};
pub(crate) use key::{Algorithm, Jwk, KeyError, PublicKey};
