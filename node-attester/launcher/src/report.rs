//! Lines for people, on stderr. What came from outside can't move a terminal's cursor or forge a second line.

use core::fmt::{self, Write as _};
use std::io::{self, Write as _};

/// Writes `podseal-launch: LINE` to stderr; a stderr that is closed changes nothing.
pub(crate) fn say(line: &dyn fmt::Display) {
    let mut text = String::from("podseal-launch: ");
    // Writing to a String does not fail.
    let _ = write!(text, "{line}");
    let mut text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text.push('\n');
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes the answer to `--help` or `--version` to stdout.
pub(crate) fn print(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}
