//! Strict JSON for what was signed or hashed: no key stands twice in an object, at any depth, and none is a look-alike of a known one.
//!
//! Readers differ in which of two equal keys they take, and Go's take `ALG` for `alg`; so neither may be left to the reader.

mod tree;

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

pub(crate) use tree::{Tree, any, values};

const TWICE: &str = "a key stands twice";
const LOOK_ALIKE: &str = "a key looks like a known one";

/// Parses a whole document.
///
/// # Errors
/// Where and why it is not what was wanted. The text never quotes a value of the document, which may be somebody's secret.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    // RFC 8259, 8.1. Checked once for the whole document, not string by string.
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))?;
    serde_json::from_str(text).map_err(|error| {
        let text = error.to_string();
        if error.is_data() && !text.starts_with(TWICE) && !text.starts_with(LOOK_ALIKE) {
            format!("a value of another type than wanted at line {} column {}", error.line(), error.column())
        } else {
            text
        }
    })
}

/// A string, borrowed from the document where it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Strings)
    }
}

/// Notes that a known key has come.
///
/// # Errors
/// When it has come before.
pub(crate) fn once<E: Error>(seen: &mut bool, key: &str) -> Result<(), E> {
    match std::mem::replace(seen, true) {
        false => Ok(()),
        true => Err(E::custom(format_args!("{TWICE}: {key:?}"))),
    }
}

/// The keys of one object so far, of those that are not known.
#[derive(Default)]
pub(crate) struct Keys<'a>(BTreeSet<Text<'a>>);

impl<'a> Keys<'a> {
    /// Takes the next key.
    ///
    /// # Errors
    /// When it is there already.
    pub(crate) fn insert<E: Error>(&mut self, key: Text<'a>) -> Result<(), E> {
        match self.0.replace(key) {
            None => Ok(()),
            Some(key) => Err(E::custom(format_args!("{TWICE}: {:?}", &*key))),
        }
    }
}

/// Refuses a key that some reader might take for one of `known`: another case, or letters beyond ASCII that fold to it.
///
/// # Errors
/// When `key` is such a look-alike.
pub(crate) fn refuse_look_alike<E: Error>(key: &str, known: &[&str]) -> Result<(), E> {
    if !key.is_ascii() || known.iter().any(|k| k.eq_ignore_ascii_case(key)) {
        return Err(E::custom(format_args!("{LOOK_ALIKE}: {key:?}")));
    }
    Ok(())
}

/// Any value, read to its end and dropped; the keys of every object in it are distinct.
#[derive(Debug)]
pub(crate) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Skipped)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while let Some(Self) = seq.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            keys.insert(key)?;
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// Declares the known members of a JSON object, each an `Option`: absent and `null` are `None`. Unknown members are read and dropped.
macro_rules! object {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $key:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Option<$type>,)+
            document: std::marker::PhantomData<&'a [u8]>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<'a>(std::marker::PhantomData<&'a [u8]>);
                #[derive(Default)]
                struct Seen {
                    $($field: bool,)+
                }
                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Members<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name<'a>, A::Error> {
                        let mut object = $name::default();
                        let mut seen = Seen::default();
                        let mut others = $crate::json::Keys::default();
                        while let Some(key) = map.next_key::<$crate::json::Text<'de>>()? {
                            match &*key {
                                $($key => {
                                    $crate::json::once(&mut seen.$field, $key)?;
                                    object.$field = map.next_value()?;
                                })+
                                other => {
                                    $crate::json::refuse_look_alike(other, &[$($key),+])?;
                                    map.next_value::<$crate::json::Skipped>()?;
                                    others.insert(key)?;
                                }
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(Members(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    object! {
        Known { alg: Text<'a> = "alg", inner: Inner<'a> = "inner", }
    }
    object! {
        Inner { value: u32 = "value", }
    }

    #[test]
    fn known_members_are_read_and_others_skipped() {
        let known: Known<'_> = parse(br#"{"alg":"a\u0062c","x":[{"y":1.5},{"y":null}],"inner":{"value":7,"z":true}}"#).unwrap();
        assert_eq!(&*known.alg.unwrap(), "abc");
        assert_eq!(known.inner.unwrap().value, Some(7));
    }

    #[test]
    fn duplicate_keys() {
        let wrong: [&[u8]; 7] = [
            br#"{"alg":"a","alg":"a"}"#,
            br#"{"alg":null,"alg":"a"}"#,
            br#"{"alg":"a","\u0061lg":"b"}"#,
            br#"{"inner":{"value":1,"value":1}}"#,
            br#"{"inner":{"z":1,"z":1}}"#,
            br#"{"x":[{"y":{"z":1,"z":2}}]}"#,
            br#"{"x":1,"alg":"a","x":2}"#,
        ];
        for bytes in wrong {
            assert!(parse::<Known<'_>>(bytes).unwrap_err().starts_with(TWICE), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn look_alikes_of_known_keys() {
        for bytes in ["{\"ALG\":\"a\"}", "{\"inner\":{\"Value\":1}}", "{\"\u{212a}id\":1}"] {
            assert!(parse::<Known<'_>>(bytes.as_bytes()).unwrap_err().starts_with(LOOK_ALIKE), "{bytes}");
        }
        assert!(parse::<Known<'_>>("{\"x\":{\"\u{212a}id\":1}}".as_bytes()).is_ok());
    }

    #[test]
    fn errors_quote_no_value() {
        for bytes in [r#"{"inner":"hunter2"}"#, r#"{"inner":{"value":"hunter2"}}"#, r#"{"alg":"hunter2"} x"#, r#"["hunter2"]"#] {
            assert!(!parse::<Known<'_>>(bytes.as_bytes()).unwrap_err().contains("hunter2"), "{bytes}");
        }
    }
}
