//! One pass over a list: what it says of itself, and what it leads to.

use super::entry::{Entry, Template};
use super::list::{List, ListError};
use super::replay::{Extension, Replay};
use super::signature::{Keyring, Signature};
use crate::tpm::HashAlgorithm;

/// A name with its digest: of the first and the last entry.
pub type Named = (String, String);

/// What a list says of itself. Nothing here is proved by anything.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Entries.
    pub entries: usize,
    /// How many of each template, in the order of their first.
    pub templates: Vec<(String, usize)>,
    /// Positions of the entries whose template digest is not the hash of their data.
    pub mismatches: Vec<usize>,
    /// Entries whose template digest is the hash of their data.
    pub matches: usize,
    /// Entries whose template digest cannot be checked: of an unknown template, in the ASCII form.
    pub unreadable: usize,
    /// Entries that say nothing because the file changed while it was measured.
    pub violations: usize,
    /// Positions of the buffers whose digest is not their hash.
    pub buffer_mismatches: Vec<usize>,
    /// Buffers whose digest is their hash.
    pub buffer_matches: usize,
    /// Entries of another register than PCR 10.
    pub elsewhere: usize,
    /// Names, in order; what is no UTF-8 shows as U+FFFD, and of one that is longer than any path its beginning is told.
    pub names: Vec<String>,
    /// Digest and name of the first entry.
    pub first: Option<Named>,
    /// Digest and name of the last entry.
    pub last: Option<Named>,
    /// What became of the signatures, of each entry whose template has a field for one.
    pub signatures: Vec<Signature>,
    /// PCR 10 by bank and extension.
    pub registers: Vec<Replay>,
    /// White space behind the list, in bytes.
    pub trailing: usize,
}

/// Longest text that is told of an entry, in bytes: `PATH_MAX`.
const LONGEST_TEXT: usize = 4096;

/// Templates that are told by name; what has more is no list of a kernel.
const MOST_TEMPLATES: usize = 16;

impl Survey {
    /// Reads `list` from end to end and replays it into `banks`. `each` gets every entry with the registers that the list leads to up to
    /// and including it.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn of<'a>(
        list: List<'a>,
        banks: &[HashAlgorithm],
        keyring: &Keyring,
        each: impl FnMut(&Entry<'a>, &[Replay]),
    ) -> Result<Self, ListError> {
        Self::of_first(list, usize::MAX, banks, keyring, each)
    }

    /// As [`Survey::of`], of the first `most` entries: those that a register proves, of a list that goes on.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn of_first<'a>(
        list: List<'a>,
        most: usize,
        banks: &[HashAlgorithm],
        keyring: &Keyring,
        mut each: impl FnMut(&Entry<'a>, &[Replay]),
    ) -> Result<Self, ListError> {
        let registers = banks.iter().flat_map(|bank| [Extension::Rehashed, Extension::ZeroPadded].map(|way| Replay::new(*bank, way)));
        let mut survey = Self { registers: registers.collect(), ..Self::default() };
        let mut entries = list.entries();
        let mut last = None;
        for entry in entries.by_ref().take(most) {
            let entry = entry?;
            survey.count(&entry)?;
            survey.signatures.extend(Signature::of(&entry, keyring));
            survey.registers.iter_mut().for_each(|register| register.extend(&entry));
            each(&entry, &survey.registers);
            if survey.first.is_none() {
                survey.first = named(&entry);
            }
            last = Some(entry);
        }
        survey.last = last.as_ref().and_then(named);
        survey.trailing = entries.trailing();
        Ok(survey)
    }

    fn count(&mut self, entry: &Entry<'_>) -> Result<(), ListError> {
        self.entries += 1;
        self.count_template(entry.template, entry.position)?;
        self.elsewhere += usize::from(entry.pcr != u32::from(super::REGISTER));
        match entry.digest_holds() {
            Some(true) => self.matches += 1,
            Some(false) => self.mismatches.push(entry.position),
            None if entry.is_violation() => self.violations += 1,
            None => self.unreadable += 1,
        }
        match entry.buffer_digest_holds() {
            Some(true) => self.buffer_matches += 1,
            Some(false) => self.buffer_mismatches.push(entry.position),
            None => {}
        }
        if let Some(measured) = entry.measured() {
            self.names.push(text_of(measured.name));
        }
        Ok(())
    }

    fn count_template(&mut self, template: Template<'_>, position: usize) -> Result<(), ListError> {
        let known = self.templates.len();
        match self.templates.iter_mut().find(|(name, _)| name == template.name()) {
            Some((_, count)) => *count += 1,
            None if known < MOST_TEMPLATES => self.templates.push((template.name().to_owned(), 1)),
            None => return Err(ListError::Field { position, what: "template of those before it" }),
        }
        Ok(())
    }
}

fn named(entry: &Entry<'_>) -> Option<Named> {
    let measured = entry.measured()?;
    Some((text_of(measured.digest_text().as_bytes()), text_of(measured.name)))
}

/// A name as it is told.
fn text_of(name: &[u8]) -> String {
    match name.split_at_checked(LONGEST_TEXT) {
        Some((begin, rest)) if !rest.is_empty() => format!("{}… ({} bytes)", String::from_utf8_lossy(begin), name.len()),
        _ => String::from_utf8_lossy(name).into(),
    }
}
