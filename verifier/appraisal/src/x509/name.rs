//! Distinguished names as text.

use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

/// The name by RFC 4514: the last part first, what has a meaning in the form escaped.
pub(crate) fn rfc4514(name: &X509Name<'_>) -> String {
    let mut parts = name.iter_rdn().map(|part| {
        let attributes = part.iter().map(|attribute| {
            let oid = attribute.attr_type();
            let label = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), ToOwned::to_owned);
            format!("{label}={}", attribute.as_str().map_or_else(|_| encoded(attribute.as_slice()), escaped))
        });
        attributes.collect::<Vec<_>>().join("+")
    });
    let mut reversed = parts.by_ref().collect::<Vec<_>>();
    reversed.reverse();
    reversed.join(",")
}

/// The first common name (X.520, 6.2.2), where it is text.
pub(crate) fn common_name<'n>(name: &'n X509Name<'_>) -> Option<&'n str> {
    name.iter_common_name().next().and_then(|name| name.as_str().ok())
}

/// 2.4: a value that is no text.
fn encoded(value: &[u8]) -> String {
    format!("#{}", crate::hex::encode(value))
}

/// 2.4: a value that is text.
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let each = text.chars().enumerate().map(|(place, character)| match character {
        '"' | '+' | ',' | ';' | '<' | '>' | '\\' => format!("\\{character}"),
        ' ' if place == 0 || place == last => "\\ ".to_owned(),
        '#' if place == 0 => "\\#".to_owned(),
        '\0' => "\\00".to_owned(),
        other => other.to_string(),
    });
    each.collect()
}
