//! High-water marks: of what has a number, the greatest that was seen. What has a lower one is older, whoever sends it.

use std::{collections::BTreeMap, fmt::Write as _};

use podseal_appraisal::endorsement::Number;

const HEAD: &str = "podseal high-water marks 1";
/// Most bytes of the file; a mark has about 50.
pub(crate) const LARGEST: u64 = 4 << 20;

/// Marks by the endorsement's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks(BTreeMap<String, Number>);

impl Marks {
    /// Reads the file's text; `None` where it is not as [`Marks::encode`] writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let marks = lines.map(|line| line.split_once(' ').and_then(|(name, number)| Some((name.to_owned(), Number::from_hex(number)?))));
        let marks = Self(marks.collect::<Option<_>>()?);
        (marks.encode() == text).then_some(marks)
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for (name, number) in &self.0 {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} {number}");
        }
        text
    }

    pub(crate) fn of(&self, name: &str) -> Option<Number> {
        self.0.get(name).copied()
    }

    /// Whether the mark went up.
    pub(crate) fn raise(&mut self, name: &str, number: Number) -> bool {
        let higher = self.of(name).is_none_or(|mark| mark < number);
        if higher {
            self.0.insert(name.to_owned(), number);
        }
        higher
    }
}
