//! PCR values as files have them: JSON, by bank and index, or by index alone.

use crate::json;
use crate::tpm::{HashAlgorithm, PcrSet};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of such a file: four banks of 24 registers take a sixth of it.
const LONGEST: usize = 64 << 10;

/// Values read on the machine, trusted as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pcrs {
    banks: BTreeMap<HashAlgorithm, BTreeMap<u8, Vec<u8>>>,
}

impl Pcrs {
    /// Reads `{"sha256": {"0": "…"}}` or `{"0": "…"}`, where the length of the values names the bank. `None` if it is neither.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        let document: BTreeMap<String, BTreeMap<String, String>> = match json::parse(bytes) {
            Ok(banks) => banks,
            Err(_) => {
                let flat: BTreeMap<String, String> = json::parse(bytes).ok()?;
                let bank = HashAlgorithm::ALL.into_iter().find(|bank| flat.values().all(|value| value.len() == 2 * bank.size()))?;
                BTreeMap::from([(bank.name().to_owned(), flat)])
            }
        };
        let banks = document.into_iter().map(|(name, values)| {
            let bank = HashAlgorithm::ALL.into_iter().find(|bank| bank.name().eq_ignore_ascii_case(&name))?;
            let values = values.into_iter().map(|(index, value)| {
                let index = index.parse::<u8>().ok().filter(|index| *index < PcrSet::COUNT)?;
                Some((index, crate::hex::decode(&value).filter(|value| value.len() == bank.size())?))
            });
            Some((bank, values.collect::<Option<BTreeMap<_, _>>>().filter(|values| !values.is_empty())?))
        });
        let banks = banks.collect::<Option<BTreeMap<_, _>>>()?;
        (!banks.is_empty()).then_some(Self { banks })
    }

    /// The value of one register.
    pub(super) fn get(&self, bank: HashAlgorithm, index: u8) -> Option<&[u8]> {
        self.banks.get(&bank)?.get(&index).map(Vec::as_slice)
    }

    /// The values of one bank, by index.
    pub(super) fn bank(&self, bank: HashAlgorithm) -> impl Iterator<Item = (u8, &[u8])> {
        self.banks.get(&bank).into_iter().flatten().map(|(index, value)| (*index, value.as_slice()))
    }

    /// The banks that have values.
    pub(super) fn banks(&self) -> impl Iterator<Item = HashAlgorithm> {
        self.banks.keys().copied()
    }

    /// As in reports: bank, index, value.
    pub(super) fn to_json(&self) -> Value {
        let bank = |values: &BTreeMap<u8, Vec<u8>>| {
            values.iter().map(|(index, value)| (index.to_string(), Value::from(crate::hex::encode(value)))).collect::<Value>()
        };
        self.banks.iter().map(|(hash, values)| (hash.name().to_owned(), bank(values))).collect()
    }
}
