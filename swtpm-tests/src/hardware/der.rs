//! ASN.1 values in DER (X.690), as certificates and revocation lists need them.

/// `UTF8String`.
pub(super) const UTF8: u8 = 0x0c;
/// `IA5String`.
pub(super) const IA5: u8 = 0x16;

/// A value of this tag over what `parts` make together.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = match value.len() {
        short @ 0..=0x7f => vec![short as u8],
        long => {
            let bytes = long.to_be_bytes();
            let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            [&[0x80 | digits.len() as u8], digits].concat()
        }
    };
    [&[tag][..], &length, &value].concat()
}

/// `SEQUENCE`.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

/// `SET`.
pub(super) fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, parts)
}

/// `OCTET STRING`.
pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(4, &[bytes])
}

/// `BIT STRING` of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes])
}

/// `INTEGER` that is not negative, from its big-endian bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let sign: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    tlv(2, &[sign, digits])
}

/// `INTEGER`.
pub(super) fn integer(number: u64) -> Vec<u8> {
    unsigned(&number.to_be_bytes())
}

/// `OBJECT IDENTIFIER` of these arcs; the second is below 40.
pub(super) fn oid(arcs: &[u64]) -> Vec<u8> {
    let (first, rest) = arcs.split_at(2);
    let mut bytes = vec![(first[0] * 40 + first[1]) as u8];
    for arc in rest {
        let digits = (1..10).take_while(|at| arc >> (7 * at) > 0).count();
        bytes.extend((0..=digits).rev().map(|at| (arc >> (7 * at)) as u8 & 0x7f | if at > 0 { 0x80 } else { 0 }));
    }
    tlv(6, &[&bytes])
}

/// A distinguished name of a common name, and an organization and a country where there are any.
pub(super) fn name(common_name: &str, organization: Option<&str>) -> Vec<u8> {
    let attribute = |kind: u64, value: &str| set(&[&sequence(&[&oid(&[2, 5, 4, kind]), &tlv(UTF8, &[value.as_bytes()])])]);
    let organization = organization.map(|organization| attribute(10, organization)).unwrap_or_default();
    sequence(&[&attribute(3, common_name), &organization])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_their_one_encoding() {
        assert_eq!(oid(&[1, 2, 840, 10045, 4, 3, 2]), [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
        assert_eq!(oid(&[1, 2, 840, 113_741, 1, 13, 1]), [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 1, 13, 1]);
        assert_eq!((integer(0), integer(0x7f), integer(0x80)), (vec![2, 1, 0], vec![2, 1, 0x7f], vec![2, 2, 0, 0x80]));
        assert_eq!(tlv(4, &[&[7; 0x80]])[..3], [4, 0x81, 0x80]);
        assert_eq!(tlv(4, &[&[7; 0x1234]])[..4], [4, 0x82, 0x12, 0x34]);
    }
}
