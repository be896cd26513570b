//! PCR values as files have them: JSON, by bank and index, or by index alone.

use crate::json;
use crate::tpm::{HashAlgorithm, PcrSet};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Bytes of such a file: four banks of 24 registers take a sixth of it.
const LONGEST: usize = 64 << 10;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Register {
    bank: HashAlgorithm,
    index: u8,
    value: Box<[u8]>,
}

/// Values read on the machine, trusted as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pcrs {
    /// By bank and index.
    registers: Box<[Register]>,
}

impl Pcrs {
    /// Reads `{"sha256": {"0": "…"}}` or `{"0": "…"}`, where the length of the values names the bank. `None` if it is neither, or says
    /// anything twice.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        json::parse::<json::Skipped>(bytes).ok()?;
        let registers = match json::parse::<BTreeMap<String, BTreeMap<String, String>>>(bytes) {
            Ok(banks) => {
                let of = |(name, values): (&String, &BTreeMap<String, String>)| {
                    let bank = HashAlgorithm::ALL.into_iter().find(|bank| bank.name() == name)?;
                    registers(bank, values).filter(|registers| !registers.is_empty())
                };
                banks.iter().map(of).collect::<Option<Vec<_>>>()?.concat()
            }
            Err(_) => {
                let values: BTreeMap<String, String> = json::parse(bytes).ok()?;
                let bank = HashAlgorithm::ALL.into_iter().find(|bank| values.values().all(|value| value.len() == 2 * bank.size()))?;
                registers(bank, &values)?
            }
        };
        (!registers.is_empty()).then_some(Self { registers: sorted(registers) })
    }

    /// These values and those; `None` where they contradict each other.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let agrees = |one: &Register| self.get(one.bank, one.index).is_none_or(|value| *value == *one.value);
        let more = other.registers.iter().filter(|one| self.get(one.bank, one.index).is_none()).cloned();
        other.registers.iter().all(agrees).then(|| Self { registers: sorted(self.registers.iter().cloned().chain(more).collect()) })
    }

    /// The value of one register.
    pub(super) fn get(&self, bank: HashAlgorithm, index: u8) -> Option<&[u8]> {
        self.registers.iter().find(|one| one.bank == bank && one.index == index).map(|one| &*one.value)
    }

    /// The values of one bank, by index.
    pub(super) fn bank(&self, bank: HashAlgorithm) -> impl Iterator<Item = (u8, &[u8])> {
        self.registers.iter().filter(move |one| one.bank == bank).map(|one| (one.index, &*one.value))
    }

    /// The banks that have values.
    pub(super) fn banks(&self) -> impl Iterator<Item = HashAlgorithm> {
        HashAlgorithm::ALL.into_iter().filter(|bank| self.registers.iter().any(|one| one.bank == *bank))
    }

    /// As in reports, of the registers that `wanted` says: bank, index, value.
    pub(super) fn to_json(&self, wanted: impl Fn(HashAlgorithm, u8) -> bool) -> Value {
        let bank = |bank| {
            let values = self.bank(bank).filter(|(index, _)| wanted(bank, *index));
            values.map(|(index, value)| (index.to_string(), Value::from(crate::hex::encode(value)))).collect::<Map<_, _>>()
        };
        let banks = self.banks().map(|hash| (hash.name().to_owned(), bank(hash))).filter(|(_, values)| !values.is_empty());
        banks.map(|(name, values)| (name, Value::Object(values))).collect()
    }
}

fn sorted(mut registers: Vec<Register>) -> Box<[Register]> {
    registers.sort();
    registers.into()
}

/// The values of one bank; an index stands there by its one numeral.
fn registers(bank: HashAlgorithm, values: &BTreeMap<String, String>) -> Option<Vec<Register>> {
    let register = |(numeral, value): (&String, &String)| {
        let index = numeral.parse::<u8>().ok().filter(|index| *index < PcrSet::COUNT && index.to_string() == *numeral)?;
        let value = crate::hex::decode(value).filter(|value| value.len() == bank.size())?;
        Some(Register { bank, index, value: value.into() })
    };
    values.iter().map(register).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_by_bank_or_by_length() {
        let (short, long) = ("ab".repeat(20), "cd".repeat(32));
        let banks = Pcrs::parse(format!(r#"{{"sha1":{{"0":"{short}"}},"sha256":{{"23":"{long}"}}}}"#).as_bytes()).unwrap();
        assert_eq!(banks.get(HashAlgorithm::Sha256, 23), Some(&[0xcd; 32][..]));
        let flat = Pcrs::parse(format!(r#"{{"0":"{short}"}}"#).as_bytes()).unwrap();
        assert_eq!((flat.banks().collect::<Vec<_>>(), flat.and(&banks)), (vec![HashAlgorithm::Sha1], Some(banks)));
        let other = Pcrs::parse(format!(r#"{{"0":"{}"}}"#, "ff".repeat(20)).as_bytes()).unwrap();
        assert_eq!(flat.and(&other), None);
    }

    #[test]
    fn nothing_is_said_twice() {
        let value = "ab".repeat(20);
        for numerals in [("0", "0"), ("0", "00"), ("+0", "1"), ("24", "1"), ("0", " 1")] {
            let text = format!(r#"{{"{}":"{value}","{}":"{value}"}}"#, numerals.0, numerals.1);
            assert_eq!(Pcrs::parse(text.as_bytes()), None, "{text}");
        }
        for text in [format!(r#"{{"SHA1":{{"0":"{value}"}}}}"#), r#"{"sha1":{}}"#.to_owned(), "{}".to_owned()] {
            assert_eq!(Pcrs::parse(text.as_bytes()), None, "{text}");
        }
    }
}
