//! The names of restrictions that an attester does without, as the records of its start carry them.

use crate::cbor::{Decoder, Malformed, Problem};

/// Names in one list, at most.
const MOST: usize = 16;
/// Longest name, in bytes.
const NAME: usize = 64;
/// All names with a comma between: a receipt has them as one word.
const TOGETHER: usize = 512;

/// Reads a list of names: ascending, each once, of lower-case ASCII letters and dashes. `list` and `name` are what an error calls them.
///
/// # Errors
/// [`Malformed`] for any other list.
pub fn exceptions(d: &mut Decoder<'_>, list: &'static str, name: &'static str) -> Result<Vec<String>, Malformed> {
    let begin = d.offset();
    let names = d.list(list, MOST, |d| {
        let at = d.offset();
        let text = d.text(name, NAME)?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if plain { Ok(text.to_owned()) } else { Err(Malformed { item: name, at, problem: Problem::WrongValue }) }
    })?;
    let wrong = |problem| Malformed { item: list, at: begin, problem };
    if !names.is_sorted_by(|a, b| a < b) {
        return Err(wrong(Problem::NotSorted));
    }
    let together = names.iter().map(|name| name.len().saturating_add(1)).sum::<usize>().saturating_sub(1);
    if together > TOGETHER { Err(wrong(Problem::TooLong)) } else { Ok(names) }
}
