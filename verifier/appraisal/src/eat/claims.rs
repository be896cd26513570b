//! Claims sets, from JSON and from CBOR, as one kind of value.
//!
//! Of CBOR, byte strings become text, `h` and hexadecimal digits, and integer keys become decimal text. Tags are left out.

use super::names::{self, Named, SUBMODULES};
use crate::cose::cbor;
use crate::hex;
use crate::json::{self, Tree};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

/// Most values, in objects and arrays at any depth, of a token in JSON.
const MOST_VALUES: usize = 2048;

/// What claims are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON; bytes are base64.
    Json,
    /// CBOR; bytes are told as `h…`.
    Cbor,
}

/// A claims set.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    encoding: Encoding,
    members: Map<String, Value>,
}

impl Claims {
    /// Reads a JSON object in which no key stands twice.
    ///
    /// # Errors
    /// What it is instead.
    pub fn of_json(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > super::LONGEST {
            return Err(format!("{} bytes, at most {} are taken", bytes.len(), super::LONGEST));
        }
        few(json::values(bytes))?;
        Self::of(Encoding::Json, json::parse::<Tree>(bytes)?.0)
    }

    /// Reads a CBOR map in which no key stands twice.
    ///
    /// # Errors
    /// What it is instead.
    pub fn of_cbor(bytes: &[u8]) -> Result<Self, String> {
        let form = cbor::Form { tags: true, breaks: true };
        Self::of(Encoding::Cbor, cbor::decode::<Rendered>(bytes, form)?.0)
    }

    fn of(encoding: Encoding, value: Value) -> Result<Self, String> {
        match value {
            Value::Object(members) => {
                let claims = Self { encoding, members };
                for Set { members, .. } in claims.sets() {
                    if let Some(name) = names::of_other_encoding(encoding, members) {
                        return Err(format!("{name:?} is a registered claim's name in the other of JSON and CBOR"));
                    }
                    if let Some(name) = names::of_both_forms(encoding, members) {
                        return Err(format!("{name:?} is there beside another name of the same claim"));
                    }
                }
                Ok(claims)
            }
            _ => Err("the claims are no set of names with values".to_owned()),
        }
    }

    /// What they are written in.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The claims by their names.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The claims of the token itself.
    pub(super) fn top(&self) -> Set<'_> {
        Set { encoding: self.encoding, name: "the token", members: &self.members }
    }

    /// The same and those of its submodules, at every depth (RFC 9711, 4.2.18).
    pub(super) fn sets(&self) -> Vec<Set<'_>> {
        let mut sets = vec![self.top()];
        let mut next = 0;
        while let Some(set) = sets.get(next) {
            let submodules = set.get(&SUBMODULES).and_then(Value::as_object).into_iter().flatten();
            let inner: Vec<_> =
                submodules.filter_map(|(name, one)| Some(Set { encoding: self.encoding, name, members: one.as_object()? })).collect();
            sets.extend(inner);
            next += 1;
        }
        sets
    }
}

/// The claims of a token or of a submodule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set<'a> {
    encoding: Encoding,
    name: &'a str,
    members: &'a Map<String, Value>,
}

impl<'a> Set<'a> {
    /// What they are written in.
    pub(super) fn encoding(self) -> Encoding {
        self.encoding
    }

    /// Whose they are.
    pub(super) fn name(self) -> &'a str {
        self.name
    }

    /// The claim of that name.
    pub(super) fn get(self, name: &Named) -> Option<&'a Value> {
        name.of(self.encoding).iter().find_map(|name| self.members.get(*name))
    }

    /// The claim of that name in an object among these.
    pub(super) fn within(self, object: &'a Value, name: &Named) -> Option<&'a Value> {
        name.of(self.encoding).iter().find_map(|name| object.get(name))
    }

    /// Whether nothing among them is about a device, and no submodule has a token or a digest of its own.
    pub(super) fn says_nothing(self) -> bool {
        let submodules = self.get(&SUBMODULES).and_then(Value::as_object).into_iter().flatten();
        !self.members.keys().any(|name| names::says_something(self.encoding, name))
            && submodules.into_iter().all(|(_, one)| one.is_object())
    }

    /// The bytes that `value` stands for.
    pub(super) fn octets(self, value: &Value) -> Option<Vec<u8>> {
        let text = value.as_str()?;
        match self.encoding {
            Encoding::Cbor => hex::decode(text.strip_prefix('h')?),
            Encoding::Json => STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))).ok(),
        }
    }
}

/// Refuses what would take more memory than its length lets one expect.
pub(super) fn few(values: usize) -> Result<(), String> {
    if values <= MOST_VALUES { Ok(()) } else { Err(format!("{values} values, at most {MOST_VALUES} are taken")) }
}

/// Any CBOR item, told as JSON.
#[derive(Debug)]
pub(super) struct Rendered(pub(super) Value);

impl<'de> Deserialize<'de> for Rendered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::any::<Name, D>(deserializer).map(Self)
    }
}

/// The key of a map, told as the name of a member.
struct Name(String);

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Rendered::deserialize(deserializer)?.0 {
            Value::String(text) if names::is_number(&text) => Err(D::Error::custom(format_args!("the key {text:?} is a number in text"))),
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) if !number.is_f64() => Ok(Self(number.to_string())),
            _ => Err(D::Error::custom("a key is neither a number nor a string")),
        }
    }
}
