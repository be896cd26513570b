//! The claims of a service-account token: parsing only, nothing here decides.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::json::{Text, object};

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
