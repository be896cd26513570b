//! What a command prints: text for people or JSON for programs, on standard output.
//!
//! Names and findings come from nodes and other administrators: on their way to a terminal, control characters are escaped.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use podseal_wire::Change;
use serde::Serialize;

use crate::failure::Failure;

/// For whom to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: one JSON document; field names are stable
    Json,
}

impl Format {
    /// Prints one result: `text` for people, `value` for programs.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub(crate) fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self {
            Self::Table => write(&escaped(&text(value), true)),
            Self::Json => write(&serde_json::to_string_pretty(value).map_err(|error| Failure::Output(error.into()))?),
        }
    }

    /// Prints a document: byte for byte into a file or pipe, escaped on a terminal.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub(crate) fn print_document<T: Serialize>(self, value: &T, document: &str) -> Result<(), Failure> {
        match self {
            Self::Table if io::stdout().is_terminal() => write(&escaped(document, true)),
            Self::Table => write_bytes(document.as_bytes()),
            Self::Json => self.print(value, |_| String::new()),
        }
    }
}

/// Writes `text`, and a line feed where it has none at its end.
fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.trim_end_matches('\n').as_bytes())?;
    write_bytes(b"\n")
}

/// Writes bytes as they are. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::Output),
    }
}

/// `text` without anything that moves a terminal's cursor or colours; `lines` keeps line feeds.
pub(crate) fn escaped(text: &str, lines: bool) -> String {
    // Unicode 16.0, 23.2 and 23.4: bidirectional controls, separators and other format characters make a line say what it does not.
    let format = |c: char| matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let harmless = |c: char| (!c.is_control() && !format(c)) || (lines && c == '\n');
    text.chars().flat_map(|c| if harmless(c) { vec![c] } else { c.escape_default().collect() }).collect()
}

/// A table: a heading, then a row for each item; cells are escaped.
pub(crate) fn table<const N: usize>(heading: [&str; N], items: impl IntoIterator<Item = [String; N]>) -> String {
    rows(std::iter::once(heading.map(str::to_owned)).chain(items))
}

/// Rows without a heading; cells are escaped.
pub(crate) fn rows<const N: usize>(items: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for row in items {
        table.add_row(row.map(|cell| escaped(if cell.is_empty() { "-" } else { &cell }, false)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Names and values, one pair a line; values are escaped.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    rows(pairs.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]))
}

/// The first digits of a long hexadecimal number, for tables.
pub(crate) fn short(hex: &str) -> String {
    hex.char_indices().nth(12).map_or_else(|| hex.to_owned(), |(at, _)| format!("{}…", hex.split_at(at).0))
}

/// RFC 3339 of seconds since 1970; `None` for 0, which says never.
pub(crate) fn time(seconds: u64) -> Option<String> {
    let known = i64::try_from(seconds).ok().filter(|seconds| *seconds != 0)?;
    Timestamp::from_second(known).ok().map(|time| time.to_string())
}

/// The log entry of an accepted change.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    audit_id: String,
    entry_index: u64,
}

impl ChangeView {
    /// Of a change that the verifier confirmed.
    ///
    /// # Errors
    /// [`Failure::Answer`] where it confirmed none.
    pub(crate) fn of(change: Option<Change>) -> Result<Self, Failure> {
        let missing = || Failure::Answer { what: "change", found: "none".to_owned(), wanted: "the log entry that records it" };
        change.map(Self::from).ok_or_else(missing)
    }
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self { audit_id: change.audit_id, entry_index: change.entry_index }
    }
}

impl std::fmt::Display for ChangeView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "log entry {}, id {}", self.entry_index, self.audit_id)
    }
}

/// A change of something that has no more to tell.
#[derive(Debug, Serialize)]
pub(crate) struct Changed {
    pub(crate) name: String,
    pub(crate) change: ChangeView,
}

/// A document that is in force in the place of the one before.
#[derive(Debug, Serialize)]
pub(crate) struct AppliedView {
    pub(crate) digest: String,
    pub(crate) change: ChangeView,
}

/// A document, whole.
#[derive(Debug, Serialize)]
pub(crate) struct DocumentView {
    pub(crate) digest: String,
    pub(crate) text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(escaped("node\u{1b}[2J\r\nx\u{9b}", false), "node\\u{1b}[2J\\r\\nx\\u{9b}");
        assert_eq!(escaped("a\nb\u{7}", true), "a\nb\\u{7}");
        assert_eq!(escaped("default\u{202e}x\u{2028}RELEASED", true), "default\\u{202e}x\\u{2028}RELEASED");
        assert_eq!(escaped("zahlung-größe", false), "zahlung-größe");
        assert!(!table(["NAME"], [["a\nDENIED".to_owned()]]).contains("\nDENIED"));
    }

    #[test]
    fn times_and_digests_for_people() {
        assert_eq!(time(0), None);
        assert_eq!(time(951_782_400).as_deref(), Some("2000-02-29T00:00:00Z"));
        assert_eq!(time(u64::MAX), None);
        assert_eq!(short("3f3f3f3f3f3f3f3f"), "3f3f3f3f3f3f…");
        assert_eq!(short("3f"), "3f");
    }
}
