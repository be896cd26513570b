//! Whether claims name a key: the one that the token is verified by vouches for itself then.

use super::claims::Claims;
use crate::hex;
use crate::jose::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Whether `key` stands anywhere in the claims: as a JWK (RFC 7517), a `COSE_Key` (RFC 9053, 7), in DER or in PEM.
///
/// It is known by its modulus, or by one coordinate: whoever has the key of a point has that of the only other one with the same `x`, so
/// neither the point's sign nor what stands around the number matters.
pub(super) fn names(claims: &Claims, key: &PublicKey) -> bool {
    let number = match key {
        PublicKey::Rsa { n, .. } => n,
        PublicKey::Ec { x, .. } | PublicKey::Ed25519 { x } => x,
    };
    let spelled = [URL_SAFE_NO_PAD.encode(number), STANDARD_NO_PAD.encode(number), hex::encode(number)];
    any(claims.members(), &|text| spelled.iter().any(|number| text.contains(number.as_str())) || decodes_to(text, number))
}

fn any(object: &Map<String, Value>, is: &impl Fn(&str) -> bool) -> bool {
    object.values().any(|value| within(value, is))
}

fn within(value: &Value, is: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Object(object) => any(object, is),
        Value::Array(all) => all.iter().any(|value| within(value, is)),
        _ => false,
    }
}

/// Whether `text` is base64, in PEM or bare, of something with `number` in it.
fn decodes_to(text: &str, number: &[u8]) -> bool {
    let bare: String = text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
    let bare = bare.trim_end_matches('=');
    let decoded = URL_SAFE_NO_PAD.decode(bare).or_else(|_| STANDARD_NO_PAD.decode(bare));
    decoded.is_ok_and(|bytes| bytes.windows(number.len()).any(|window| window == number))
}
