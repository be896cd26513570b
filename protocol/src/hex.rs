//! Hexadecimal digits, as people, reports and reference values have them.

/// The digits of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('?')));
    }
    out
}

/// The bytes of `digits`, in either case; `None` if it is anything else.
#[must_use]
pub fn decode(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// The same where there are 2 N digits. No copy of the bytes stays behind: they may be a key.
#[must_use]
pub fn array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_bytes().as_chunks();
    let mut bytes = [0; N];
    for (to, pair) in bytes.iter_mut().zip(pairs) {
        *to = byte(pair)?;
    }
    (rest.is_empty() && pairs.len() == N).then_some(bytes)
}

fn byte(pair: &[u8; 2]) -> Option<u8> {
    let [high, low] = pair.map(|digit| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok()));
    Some(high? << 4 | low?)
}

#[cfg(test)]
mod tests {
    use super::{array, decode, encode};

    #[test]
    fn digits_in_pairs_and_nothing_else() {
        assert_eq!((encode(&[0, 0x1f, 0xff]).as_str(), decode("001Fff")), ("001fff", Some(vec![0, 0x1f, 0xff])));
        assert_eq!((decode(""), array("00ff"), array::<0>("")), (Some(vec![]), Some([0, 0xff]), Some([])));
        for other in ["0", "0g", "+1", " 01", "0x01", "00é"] {
            assert_eq!((decode(other), array::<1>(other)), (None, None), "{other}");
        }
        assert_eq!((array::<2>("00"), array::<1>("0000")), (None, None), "another length");
    }
}
