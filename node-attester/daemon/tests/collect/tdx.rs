use std::{fs, path::Path};

use aws_lc_rs::digest::{SHA384, digest};
use podseal_node_attester::collect::{
    CollectError,
    tdx::{Ccel, Rtmr, ccel},
};

use crate::kernel::pipe;

/// A register behind a pipe: read, written, read again.
fn register(path: &Path, before: [u8; 48], after: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    pipe(path);
    let path = path.to_owned();
    std::thread::spawn(move || {
        fs::write(&path, before).unwrap();
        let written = fs::read(&path).unwrap();
        fs::write(&path, after(&written)).unwrap();
        written
    })
}

#[test]
fn a_register_is_extended_by_one_write_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rtmr3:sha384");
    let hash = |by: &[u8]| digest(&SHA384, &[&[1; 48], by].concat()).as_ref().to_vec();
    let kernel = register(&path, [1; 48], hash);
    assert_eq!(Rtmr(path).extend(&[2; 48]).unwrap().to_vec(), hash(&[2; 48]));
    assert_eq!(kernel.join().unwrap(), [2; 48]);
}

#[test]
fn a_register_that_somebody_else_extended_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rtmr3:sha384");
    let _kernel = register(&path, [1; 48], |_| vec![3; 48]);
    let error = Rtmr(path).extend(&[2; 48]).unwrap_err();
    assert!(matches!(&error, CollectError::Answer { found, .. } if found.starts_with("0303")), "{error}");
}

#[test]
fn a_register_of_another_size_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rtmr3:sha384");
    let error = Rtmr(path.clone()).value().unwrap_err().to_string();
    assert!(error.contains("Linux 6.16"), "{error}");
    for (length, wanted) in [(0, "found 0 bytes, wanted 48 bytes"), (47, "found 47 bytes"), (49, "longer than 48 bytes")] {
        fs::write(&path, vec![0; length]).unwrap();
        let error = Rtmr(path.clone()).value().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn the_log_comes_with_its_table_and_within_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (table, log) = (dir.path().join("CCEL"), dir.path().join("data"));
    let ask = || ccel(&table, &log, 4);
    assert!(ask().unwrap_err().to_string().contains("CCEL: open"));
    fs::write(&table, [b"CCEL".as_slice(), &[0; 52]].concat()).unwrap();
    assert!(ask().unwrap_err().to_string().contains("data: open"));
    fs::write(&log, b"log!").unwrap();
    assert_eq!(ask().unwrap(), Ccel { table: fs::read(&table).unwrap(), log: b"log!".to_vec() });
    fs::write(&log, b"log!!").unwrap();
    assert!(matches!(ask().unwrap_err(), CollectError::TooLong { most: 4, .. }));
    fs::write(&table, [b"FACP".as_slice(), &[0; 52]].concat()).unwrap();
    assert!(ask().unwrap_err().to_string().contains("found \"FACP\", wanted CCEL"));
    fs::write(&table, [b"CCEL".as_slice(), &[0; 53]].concat()).unwrap();
    assert!(matches!(ask().unwrap_err(), CollectError::TooLong { most: 56, .. }));
}
