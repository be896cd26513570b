//! An IMA list: it says what it says, and is proved by PCR 10 as quoted, or without a quote as given.

use super::Settings;
use super::eventlog::{self, Banks};
use super::findings::Findings;
use super::parts::{Item, Parts};
use super::pcrs::Pcrs;
use crate::hex::encode as hex;
use crate::ima::{
    Extension, IMA_REGISTER, IMA_REPLAYS, Keyring, List, Named, REGISTER, Replay, Survey, appraise_survey, boot_aggregate, boot_aggregates,
};
use crate::tpm::{HashAlgorithm, PcrSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// The banks that a list is replayed into.
const BANKS: [HashAlgorithm; 3] = [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha384];

/// What came along with the list.
struct Beside<'p> {
    keyring: Option<Keyring>,
    given: Vec<(&'p str, &'p Pcrs)>,
    replayed: Banks,
    /// The registers that a quote is about, where there is one: no other counts then.
    quoted: Option<BTreeMap<HashAlgorithm, PcrSet>>,
}

/// PCR 10 as given.
struct Given<'p> {
    file: &'p str,
    bank: HashAlgorithm,
    value: &'p [u8],
    /// How many entries lead to it, where some do.
    proves: Option<usize>,
}

pub(super) fn appraise(parts: &Parts<'_>, _settings: &Settings<'_>, findings: &mut Findings) {
    let keyring = keyring(parts, findings);
    let log = eventlog::log(parts, findings);
    let replayed = log.and_then(|(log, _)| eventlog::replay(parts, &log, findings)).unwrap_or_default();
    eventlog::compare(parts, &replayed, findings);
    let given = parts.each(|item| if let Item::Pcrs(pcrs) = item { Some(pcrs) } else { None }).collect();
    appraise_list(parts, &Beside { keyring, given, replayed, quoted: None }, findings);
}

/// Appraises the list that came with a quote, if one did, against the registers that the quote is about.
pub(super) fn beside_quote(
    parts: &Parts<'_>,
    (file, pcrs): (&str, &Pcrs),
    selected: impl Iterator<Item = (HashAlgorithm, PcrSet)>,
    findings: &mut Findings,
) {
    if parts.items().any(|item| list_of(item).is_some()) {
        let keyring = keyring(parts, findings);
        let beside = Beside { keyring, given: vec![(file, pcrs)], replayed: Banks::new(), quoted: Some(selected.collect()) };
        appraise_list(parts, &beside, findings);
    }
}

fn appraise_list(parts: &Parts<'_>, beside: &Beside<'_>, findings: &mut Findings) {
    let Some((file, list)) = parts.only("IMA list", findings, list_of) else { return };
    let none = Keyring::default();
    let keyring = beside.keyring.as_ref().unwrap_or(&none);
    let mut given = beside.registers();
    let mut aggregate = None;
    let read = Survey::of(list, &HashAlgorithm::ALL, keyring, |entry, registers| {
        for given in &mut given {
            if registers.iter().any(|replay| replay.bank() == given.bank && replay.value() == Some(given.value)) {
                given.proves = Some(entry.position + 1);
            }
        }
        if entry.position == 0 {
            let bank = entry.measured().and_then(|measured| measured.hash());
            aggregate = bank.and_then(|bank| boot_aggregate::of(entry, |index| beside.value(bank, index)));
        }
    });
    let survey = match read {
        Ok(survey) => survey,
        Err(error) => return findings.malformed(file, error),
    };
    checks(&survey, findings);
    if aggregate.is_some() {
        boot_aggregate::record(aggregate.as_ref(), &mut findings.authenticity);
    }
    let proved = register(&survey, &given, beside, findings);
    beside.claims(findings);
    findings.claim("entries", survey.entries);
    let Survey { entries, registers, .. } = &survey;
    replays(registers, findings);
    match proved.filter(|proved| proved < entries) {
        None => claims(survey, list, findings),
        // What follows is text by whoever sent it, and no fact is to be taken from it.
        Some(proved) => {
            drop(survey);
            match Survey::of_first(list, proved, &[], keyring, |_, _| {}) {
                Ok(proved) => claims(proved, list, findings),
                Err(error) => findings.malformed(file, error),
            }
        }
    }
}

fn list_of<'a>(item: &Item<'a>) -> Option<List<'a>> {
    match item {
        Item::ImaAscii(bytes) => Some(List::Ascii(bytes)),
        Item::ImaBinary(bytes) => Some(List::Binary(bytes)),
        _ => None,
    }
}

fn keyring(parts: &Parts<'_>, findings: &mut Findings) -> Option<Keyring> {
    let (file, bytes) = parts.only("keyring", findings, |item| if let Item::Keyring(bytes) = item { Some(*bytes) } else { None })?;
    match Keyring::parse(bytes) {
        Ok(keyring) => {
            findings.anchor(format!("as given: {file}"));
            Some(keyring)
        }
        Err(error) => {
            findings.malformed(file, error);
            None
        }
    }
}

impl<'p> Beside<'p> {
    /// Each value of PCR 10 that counts.
    fn registers(&self) -> Vec<Given<'p>> {
        let values = self.given.iter().flat_map(|(file, pcrs)| {
            let value = |bank| pcrs.get(bank, REGISTER).filter(|_| self.counts(bank, REGISTER));
            HashAlgorithm::ALL.into_iter().filter_map(move |bank| Some(Given { file, bank, value: value(bank)?, proves: None }))
        });
        values.collect()
    }

    fn counts(&self, bank: HashAlgorithm, index: u8) -> bool {
        self.quoted.as_ref().is_none_or(|quoted| quoted.get(&bank).is_some_and(|set| set.contains(index)))
    }

    /// A register as given, or as the boot log leads to it.
    fn value(&self, bank: HashAlgorithm, index: u8) -> Option<&[u8]> {
        let given = self.given.iter().find_map(|(_, pcrs)| pcrs.get(bank, index).filter(|_| self.counts(bank, index)));
        given.or_else(|| self.replayed.get(&bank)?.get(index))
    }

    fn claims(&self, findings: &mut Findings) {
        for (_, pcrs) in &self.given {
            for bank in pcrs.banks() {
                let values = pcrs.bank(bank).map(|(index, value)| (index.to_string(), Value::from(hex(value))));
                findings.claim(&format!("machine_pcrs_{}", bank.name()), values.collect::<Value>());
            }
        }
        for bank in BANKS {
            for (last, digest) in boot_aggregates(bank, |index| self.value(bank, index)) {
                findings.claim(&format!("boot_aggregate_{}_pcr0_{last}", bank.name()), hex(digest.as_ref()));
            }
        }
    }
}

fn checks(survey: &Survey, findings: &mut Findings) {
    appraise_survey(survey, &mut findings.authenticity);
    let found = format!("{} entries of others", survey.elsewhere);
    findings.policy.record(&IMA_REGISTER, survey.elsewhere == 0, "entries of PCR 10", found);
    if survey.unreadable > 0 {
        let why = "the list in its binary form: the other one does not tell what the entries of a template unknown here are digests of";
        findings.missing("binary_runtime_measurements", why);
    }
}

/// How many entries are proved, the whole list where no register is missing.
///
/// A register as given that the list does not lead to is one of another moment, or the list is altered: nobody knows which. One that is
/// quoted proves that the list is not the one of its machine, and so does one beside another that the list leads to.
fn register(survey: &Survey, given: &[Given<'_>], beside: &Beside<'_>, findings: &mut Findings) -> Option<usize> {
    let told = |given: &&Given<'_>| survey.registers.iter().any(|replay| replay.bank() == given.bank && replay.value().is_some());
    let proved = given.iter().filter(|given| given.proves.is_some()).max_by_key(|given| given.proves);
    let contradicts = given.iter().filter(told).find(|given| given.proves.is_none());
    if let Some(given) = contradicts.filter(|_| beside.quoted.is_some() || proved.is_some()) {
        let expected = format!("PCR 10 ({}) = {}", given.bank.name(), hex(given.value));
        let found = format!("{} entries, which lead to another value", survey.entries);
        findings.authenticity.record_from(given.file.to_owned(), &IMA_REPLAYS, false, expected, found);
        return None;
    }
    let Some((given, entries)) = proved.and_then(|given| Some((given, given.proves?))) else {
        findings.missing("pcr10", "PCR 10 as it was when the list was read: quoted and signed, or as given");
        return None;
    };
    let found = format!("{entries} of {} entries, which lead to it", survey.entries);
    let expected = format!("PCR 10 ({})", given.bank.name());
    findings.authenticity.record_from(given.file.to_owned(), &IMA_REPLAYS, true, expected, found);
    findings.anchor(format!("as given: {}", given.file));
    findings.claim("entries_proved", entries);
    if entries < survey.entries {
        findings.missing("pcr10", "PCR 10 as it is after the last entry: nothing proves those behind the register that is there");
    }
    Some(entries)
}

/// What the entries say, of which nothing is proved or all.
fn claims(survey: Survey, list: List<'_>, findings: &mut Findings) {
    if let [(template, _)] = survey.templates.as_slice() {
        findings.claim("template", template.clone());
    }
    findings.claim("templates", survey.templates.into_iter().map(|(name, count)| (name, Value::from(count))).collect::<Value>());
    findings.claim("template_hash_ok", survey.matches);
    findings.claim("template_hash_mismatch_lines", survey.mismatches);
    findings.claim("violations", survey.violations);
    findings.claim("ima_buf_digest_mismatch_lines", survey.buffer_mismatches);
    if matches!(list, List::Binary(_)) {
        findings.claim("trailing_bytes", survey.trailing);
    }
    let named = |(digest, name): Named| json!([digest, name]);
    findings.claim("first", survey.first.map(named));
    findings.claim("last", survey.last.map(named));
    findings.claim("files", survey.names);
    if !survey.signatures.is_empty() {
        findings.claim("signatures", survey.signatures.into_iter().map(|signature| Value::from(signature.to_string())).collect::<Value>());
    }
}

/// What the whole list leads to.
fn replays(registers: &[Replay], findings: &mut Findings) {
    let value = |extension, bank| {
        let replay = registers.iter().find(|replay| replay.bank() == bank && replay.extension() == extension);
        Value::from(replay.and_then(Replay::value).map(hex))
    };
    let banks = |extension| BANKS.into_iter().map(|bank| (bank.name().to_owned(), value(extension, bank))).collect::<Value>();
    findings.claim("pcr10_template_rehashed_per_bank", banks(Extension::Rehashed));
    findings.claim("pcr10_sha1_zero_padded_old_kernels", banks(Extension::ZeroPadded));
    findings.claim("pcr10_sha1", value(Extension::ZeroPadded, HashAlgorithm::Sha1));
    findings.claim("pcr10_sha256_rehashed", value(Extension::Rehashed, HashAlgorithm::Sha256));
}
