//! A token of another verifier or of a device, or a claims set that nobody signed.

#[cfg(test)]
mod tests;

use super::Settings;
use super::findings::Findings;
use super::parts::{Item, Parts};
use crate::eat::{Claims, Encoding, Key, Token, TokenError, appraise_policy, appraise_profile, appraise_token};
use serde_json::Value;

/// What it may be verified by.
#[derive(Clone, Copy, PartialEq)]
enum Given<'a> {
    Jwk(&'a [u8]),
    Spki(&'a [u8]),
}

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let only = parts.only("token", findings, |item| match item {
        Item::Jwt(_) | Item::CoseToken(_) | Item::EatClaims(_) => Some(item),
        _ => None,
    });
    let Some((file, item)) = only else { return };
    let token = match item {
        Item::Jwt(text) => Token::of_jwt(text.as_bytes()),
        Item::CoseToken(bytes) => Token::of_cwt(bytes),
        Item::EatClaims(bytes) => return unsigned(file, bytes, findings),
        _ => return,
    };
    match token {
        Ok(token) => signed(&token, parts, settings, findings),
        Err(error) => findings.malformed(file, error),
    }
}

fn signed(token: &Token, parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    let header = if token.claims().encoding() == Encoding::Json { "header" } else { "protected" };
    findings.claim(header, token.header().clone());
    findings.claim("claims", Value::Object(token.claims().members().clone()));
    let nonce = parts.nonce(settings.nonce, findings);
    let given = parts.only("key", findings, |item| match item {
        Item::Jwk(bytes) => Some(Given::Jwk(bytes)),
        Item::PublicKey(bytes) => Some(Given::Spki(bytes)),
        _ => None,
    });
    let key = match given.map(|(file, given)| (file, key(given))) {
        Some((file, Err(error))) => return findings.malformed(file, error),
        Some((file, Ok(key))) => Some((file, key)),
        None => None,
    };
    let holds = appraise_token(token, key.as_ref().map(|(_, key)| key), nonce.as_deref(), &mut findings.authenticity);
    match key {
        Some((file, key)) => {
            findings.anchor(format!("as given: {file}"));
            if holds {
                appraise_policy(token.claims(), &key, &mut findings.policy);
            }
        }
        None => findings.missing("key", "the issuer's public key, as a JWK or in PEM: the token's signature is verified by it"),
    }
}

fn key(given: Given<'_>) -> Result<Key, TokenError> {
    match given {
        Given::Jwk(bytes) => Key::of_jwk(bytes),
        Given::Spki(bytes) => Key::of_spki(bytes),
    }
}

/// What a profile forbids no signature would mend; all else is open without one.
fn unsigned(file: &str, bytes: &[u8], findings: &mut Findings) {
    let claims = match Claims::of_json(bytes) {
        Ok(claims) => claims,
        Err(error) => return findings.malformed(file, error),
    };
    findings.claim("top_level", Value::Object(claims.members().clone()));
    if appraise_profile(&claims, &mut findings.policy) {
        findings.missing("signature", "nobody signed these claims: the token that has them is wanted, with its issuer's key");
    }
}
