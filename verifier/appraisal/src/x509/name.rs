//! Distinguished names as text (RFC 4514).

use x509_parser::der_parser::Oid;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The types that have a short name there (section 3), by their object identifier.
const SHORT: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name in the order of RFC 4514, 2.1: the last part first. A value that is no text shows as `?`.
#[must_use]
pub fn name(name: &X509Name<'_>) -> String {
    let mut parts = name.iter_rdn().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+")).collect::<Vec<_>>();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind: &Oid<'_> = attribute.attr_type();
    let identifier = kind.to_id_string();
    let short = SHORT.iter().find(|(oid, _)| *oid == identifier).map_or(identifier.as_str(), |(_, short)| *short);
    format!("{short}={}", escaped(attribute.as_str().unwrap_or("?")))
}

/// RFC 4514, 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (place, character) in value.chars().enumerate() {
        let special = matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
        let at_an_end = (place == 0 && matches!(character, ' ' | '#')) || (place == last && character == ' ');
        if character == '\0' {
            out.push_str("\\00");
            continue;
        }
        if special || at_an_end {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
