use super::forge::{boot, entry, log, registers};
use crate::check::{Checks, Verdict};
use crate::eventlog::{EventLog, Registers, appraise_registers};
use crate::tpm::HashAlgorithm;
use podseal_protocol::Limits;

/// The registers that are proved, and the rules that failed with what they found.
fn appraise(bytes: &[u8], values: &[(u8, [u8; 32])]) -> (String, Vec<(&'static str, String)>) {
    let log = EventLog::parse(bytes, &Limits::DEFAULT).unwrap();
    let replayed = Registers::replay(&log, HashAlgorithm::Sha256).unwrap();
    let mut checks = Checks::owing(&[]);
    let values = values.iter().map(|(index, value)| (*index, value.as_slice()));
    let proved = appraise_registers(HashAlgorithm::Sha256, &replayed, values, &mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail);
    (proved.to_string(), failed.map(|check| (check.rule.name, check.found.into_owned())).collect())
}

#[test]
fn values_as_given() {
    let machine = registers(&boot(), 0);
    let all = machine.iter().map(|(index, value)| (index, value.try_into().unwrap())).collect::<Vec<(u8, [u8; 32])>>();
    assert_eq!(appraise(&log(&boot()), &all), ("0,1,2,3,4,5,6,7,8,9,14".to_owned(), vec![]));
    assert_eq!(appraise(&log(&boot()), &all[7..8]), ("7".to_owned(), vec![]));
    for (position, (index, _)) in all.iter().enumerate() {
        let mut altered = all.clone();
        altered[position].1[31] ^= 1;
        let (proved, failed) = appraise(&log(&boot()), &altered);
        assert_eq!(proved, "none");
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].0, "log.replays");
        assert!(failed[0].1.starts_with(&format!("PCR {index} (sha256) = ")));
    }
}

#[test]
fn open_registers_count_where_the_log_has_events_of_them() {
    let open = [(10, [7; 32]), (16, [7; 32])];
    assert_eq!(appraise(&log(&boot()), &open), ("none".to_owned(), vec![]));
    let more = [boot(), vec![entry(11, 0x0d, b"kernel image")]].concat();
    assert_eq!(appraise(&log(&more), &[(11, [7; 32])]).1[0].0, "log.replays");
}
