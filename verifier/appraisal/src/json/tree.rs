//! A whole document as a value, for showing and for searching.

use super::TWICE;
use crate::hex;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};
use std::fmt;
use std::marker::PhantomData;

/// How many values a document has at the most: what a [`Tree`] of it costs is by their number, some hundred bytes each.
pub(crate) fn values(bytes: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' | b',' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// Any JSON value, in which no key stands twice in an object, at any depth.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree(pub(crate) Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any::<String, D>(deserializer).map(Self)
    }
}

/// Any value of a format that describes itself, told as JSON: byte strings are `h` and hexadecimal digits, keys what `K` reads them as, and
/// no key stands twice.
pub(crate) fn any<'de, K: Deserialize<'de> + Into<String>, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Told::<K>::deserialize(deserializer).map(|told| told.value)
}

struct Told<K> {
    value: Value,
    keys: PhantomData<K>,
}

impl<'de, K: Deserialize<'de> + Into<String>> Deserialize<'de> for Told<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(Values::<K>(PhantomData))?;
        Ok(Self { value, keys: PhantomData })
    }
}

struct Values<K>(PhantomData<K>);

impl<'de, K: Deserialize<'de> + Into<String>> Visitor<'de> for Values<K> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(value.to_string().into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        Ok(format!("h{}", hex::encode(value)).into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Told::<K> { value, .. }) = seq.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<K>()? {
            let Told::<K> { value, .. } = map.next_value()?;
            match members.entry(key) {
                Entry::Vacant(entry) => _ = entry.insert(value),
                Entry::Occupied(entry) => return Err(A::Error::custom(format_args!("{TWICE}: {:?}", entry.key()))),
            }
        }
        Ok(Value::Object(members))
    }
}
