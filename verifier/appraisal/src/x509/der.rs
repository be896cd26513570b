//! The outermost layer of what an authority signs, read strictly (X.690, 10): the parser below it takes some encodings for others.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// `[0] EXPLICIT`: the version of a certificate.
const VERSION: u8 = 0xa0;

/// Whether `der` is one object of the form of RFC 5280, 4.1.1 and 5.1.1, to its last byte: what is signed, the algorithm as it also
/// stands inside (4.1.1.2, byte for byte), and a signature of whole bytes.
pub(super) fn is_signed_object(der: &[u8]) -> bool {
    let whole = || {
        let (object, _, end) = take(der, SEQUENCE)?;
        let (inside, _, rest) = take(object, SEQUENCE)?;
        let (_, algorithm, rest) = take(rest, SEQUENCE)?;
        let (signature, _, rest) = take(rest, BIT_STRING)?;
        let whole_bytes = signature.first() == Some(&0);
        Some(end.is_empty() && rest.is_empty() && whole_bytes && algorithm_inside(inside)? == algorithm)
    };
    whole().unwrap_or(false)
}

/// The algorithm in `TBSCertificate` (behind version and serial number) or `TBSCertList` (behind the version).
fn algorithm_inside(inside: &[u8]) -> Option<&[u8]> {
    let mut rest = inside;
    for tag in [VERSION, INTEGER] {
        if let Some((_, _, behind)) = take(rest, tag) {
            rest = behind;
        }
    }
    take(rest, SEQUENCE).map(|(_, raw, _)| raw)
}

/// Contents and whole encoding of the object with `tag` that `input` begins with, and what follows; `None` where it begins with another,
/// or its length is not in its one encoding.
fn take(input: &[u8], tag: u8) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, length): (usize, usize) = match *input {
        [found, short, ..] if found == tag && short < 0x80 => (2, usize::from(short)),
        [found, 0x81, one, ..] if found == tag && one >= 0x80 => (3, usize::from(one)),
        [found, 0x82, high, low, ..] if found == tag && high > 0 => (4, usize::from(u16::from_be_bytes([high, low]))),
        [found, 0x83, top, high, low, ..] if found == tag && top > 0 => (5, usize::try_from(u32::from_be_bytes([0, top, high, low])).ok()?),
        _ => return None,
    };
    let (raw, rest) = input.split_at_checked(head.checked_add(length)?)?;
    Some((raw.get(head..)?, raw, rest))
}
