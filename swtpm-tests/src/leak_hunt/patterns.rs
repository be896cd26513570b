//! What a canary looks like: each form in which programs write what they should not have.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Characters of a canary: fewer than the first could be met by chance, and more than the last is no password.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 24..=256;
/// Characters of a fragment; random ones are not met by chance.
const FRAGMENT: usize = 16;
/// From the beginning of one fragment to the next.
const STEP: usize = 8;

/// The forms that are searched for. Each is searched for by fragments of sixteen characters, one every eight: of a canary that was overwritten in part, such as
/// memory that was freed, what is left is found where it has 23 characters in a row, or is the first or the last sixteen.
pub const FORMS: [&str; 8] = ["raw", "hex", "HEX", "base64", "base64url", "UTF-16LE", "UTF-16BE", "decimal"];

/// This is no canary: how many characters it has, or where one is not printable ASCII.
#[derive(Debug, thiserror::Error)]
#[error("the canary has {found}: wanted {} to {} printable ASCII characters, random ones", LENGTHS.start(), LENGTHS.end())]
pub struct NoCanary {
    found: String,
}

/// All forms of a canary, ready to be searched for at once.
#[derive(Debug)]
pub struct Patterns {
    automaton: AhoCorasick,
    forms: Vec<&'static str>,
    longest: usize,
}

impl Patterns {
    /// Of a canary without the line end behind it.
    ///
    /// # Errors
    /// [`NoCanary`].
    pub fn new(canary: &[u8]) -> Result<Self, NoCanary> {
        if !LENGTHS.contains(&canary.len()) {
            return Err(NoCanary { found: format!("{} characters", canary.len()) });
        }
        if let Some(at) = canary.iter().position(|byte| !byte.is_ascii_graphic()) {
            return Err(NoCanary { found: format!("none at position {at}") });
        }
        let last = canary.len() - FRAGMENT;
        let starts: BTreeSet<usize> = (0..=last).step_by(STEP).chain([last]).collect();
        let (mut words, mut forms): (Vec<Zeroizing<Vec<u8>>>, Vec<&str>) = (Vec::new(), Vec::new());
        for start in starts {
            for (form, word) in written(&canary[start..start + FRAGMENT]) {
                // Two alphabets often agree: the first form names it.
                if !words.iter().any(|known| **known == word) {
                    words.push(Zeroizing::new(word));
                    forms.push(form);
                }
            }
        }
        let longest = words.iter().map(|word| word.len()).max().unwrap_or_default();
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words.iter().map(|word| word.as_slice()));
        Ok(Self { automaton: automaton.map_err(|error| NoCanary { found: error.to_string() })?, forms, longest })
    }

    /// Each place in `bytes`: where it ends, and the form.
    pub fn in_bytes<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, &'static str)> + 'a {
        self.automaton.find_iter(bytes).filter_map(|found| Some((found.end(), *self.forms.get(found.pattern().as_usize())?)))
    }

    /// Bytes of the longest pattern.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

/// A fragment in every form.
fn written(fragment: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let join = |separator: &str| fragment.iter().map(u8::to_string).collect::<Vec<_>>().join(separator).into_bytes();
    let mut written = vec![
        ("raw", fragment.to_vec()),
        ("hex", fragment.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
        ("HEX", fragment.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()),
        ("UTF-16LE", fragment.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16BE", fragment.iter().flat_map(|byte| [0, *byte]).collect()),
        ("decimal", join(",")),
        ("decimal", join(", ")),
    ];
    for before in 0..3 {
        written.push(("base64", within_base64(fragment, before, |text| STANDARD_NO_PAD.encode(text))));
        written.push(("base64url", within_base64(fragment, before, |text| URL_SAFE_NO_PAD.encode(text))));
    }
    written
}

/// What stands in the base64 of a longer text in which `before` bytes (modulo three) precede the fragment, whatever they are, and whatever follows: the
/// digits that the fragment alone decides.
fn within_base64(fragment: &[u8], before: usize, encode: impl Fn(&[u8]) -> String) -> Vec<u8> {
    let text = [&[0; 2][..before.min(2)], fragment].concat();
    let digits = encode(&text).into_bytes();
    let (from, to) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
    digits[from..to].to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CANARY: &[u8] = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn forms(text: &[u8]) -> BTreeSet<&'static str> {
        Patterns::new(CANARY).unwrap().in_bytes(text).map(|(_, form)| form).collect()
    }

    #[test]
    fn every_form_is_found_in_longer_text_at_every_alignment() {
        for before in 0..7 {
            let text = [&b"xyzxyzxyz"[..before], CANARY, b"tail"].concat();
            assert_eq!(forms(&text), BTreeSet::from(["raw"]));
            for padded in [true, false] {
                let trimmed = |text: String| if padded { text } else { text.trim_end_matches('=').to_owned() };
                let standard = trimmed(base64::engine::general_purpose::STANDARD.encode(&text));
                assert!(forms(standard.as_bytes()).contains("base64"), "{before} {standard}");
                let url = trimmed(base64::engine::general_purpose::URL_SAFE.encode(&text));
                assert!(!forms(url.as_bytes()).is_empty(), "{before} {url}");
            }
        }
        let hex: String = CANARY.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(forms(hex.as_bytes()), BTreeSet::from(["hex"]));
        assert!(!forms(hex.to_uppercase().as_bytes()).is_empty());
        let utf16 = |wide: fn(u16) -> [u8; 2]| CANARY.iter().flat_map(|byte| wide(u16::from(*byte))).collect::<Vec<_>>();
        assert_eq!(forms(&utf16(u16::to_le_bytes)), BTreeSet::from(["UTF-16LE"]));
        assert!(forms(&[b"x".as_slice(), &utf16(u16::to_be_bytes)].concat()).contains("UTF-16BE"));
        assert_eq!(forms(format!("{CANARY:?}").as_bytes()), BTreeSet::from(["decimal"]));
    }

    #[test]
    fn an_alphabet_of_its_own_is_told_apart() {
        let canary = b"~~~???>>>~~~???>>>~~~???>>>~~~??";
        let patterns = Patterns::new(canary).unwrap();
        let found = |text: String| patterns.in_bytes(text.as_bytes()).map(|(_, form)| form).collect::<BTreeSet<_>>();
        assert_eq!(found(STANDARD_NO_PAD.encode(canary)), BTreeSet::from(["base64"]));
        assert_eq!(found(URL_SAFE_NO_PAD.encode(canary)), BTreeSet::from(["base64url"]));
    }

    #[test]
    fn what_is_left_of_it_is_found() {
        assert_eq!(forms(&[&[0; 16], &CANARY[16..]].concat()), BTreeSet::from(["raw"]));
        for from in 0..=CANARY.len() - 23 {
            assert_eq!(forms(&CANARY[from..from + 23]), BTreeSet::from(["raw"]), "{from}");
        }
        assert!(forms(&CANARY[..15]).is_empty());
    }

    #[test]
    fn what_could_be_met_by_chance_is_no_canary() {
        for wrong in [&b"short"[..], &[b'a'; 257], b"with a space within it, and long", &[0xff; 32]] {
            assert!(Patterns::new(wrong).is_err());
        }
    }
}
