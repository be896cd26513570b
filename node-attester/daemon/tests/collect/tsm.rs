use std::fs;

use podseal_node_attester::collect::{
    CollectError, MOST_BYTES,
    tsm::{Provider, Tsm, TsmReport},
};

use crate::kernel::TsmEntry;

fn tsm(entry: &TsmEntry, privlevel: Option<u8>) -> Tsm {
    Tsm { folder: entry.folder.clone(), entry: "mine", privlevel }
}

#[test]
fn a_report_belongs_to_the_data_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let entry = TsmEntry::new(dir.path(), "mine", "tdx_guest");
    let asked = tsm(&entry, None);
    let kernel = entry.answer(|data| [b"quote over ", data].concat());
    let found = asked.collect(&[5; 64]).unwrap();
    let report = [b"quote over ".as_slice(), &[5; 64]].concat();
    assert_eq!(found, TsmReport { provider: Provider::TdxGuest, report, auxiliary: None, generation: 8 });
    assert_eq!(kernel.join().unwrap(), (Vec::new(), vec![vec![5; 64]]));
}

#[test]
fn a_privilege_level_is_written_before_the_data_and_counts_as_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let entry = TsmEntry::new(dir.path(), "mine", "sev_guest").auxblob(b"table").privlevel();
    let asked = tsm(&entry, Some(2));
    let kernel = entry.answer(<[u8]>::to_vec);
    let found = asked.collect(&[9; 64]).unwrap();
    assert_eq!((found.provider, found.auxiliary, found.generation), (Provider::SevGuest, Some(b"table".to_vec()), 9));
    assert_eq!(kernel.join().unwrap().0, ["2"]);
}

#[test]
fn a_report_that_somebody_else_wrote_into_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut entry = TsmEntry::new(dir.path(), "mine", "tdx_guest");
    entry.others = vec![1, 3, 0];
    let asked = tsm(&entry, None);
    let kernel = entry.answer(<[u8]>::to_vec);
    assert_eq!(asked.collect(&[1; 64]).unwrap().generation, 7 + 2 + 4 + 1);
    assert_eq!(kernel.join().unwrap().1.len(), 3);
}

#[test]
fn somebody_who_always_writes_into_it_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut entry = TsmEntry::new(dir.path(), "mine", "tdx_guest");
    entry.others = vec![1; 5];
    let asked = tsm(&entry, None);
    let _kernel = entry.answer(<[u8]>::to_vec);
    let error = asked.collect(&[1; 64]).unwrap_err();
    assert!(matches!(&error, CollectError::Interfered { tries: 5, path } if path.ends_with("mine")), "{error}");
}

#[test]
fn an_answer_of_nothing_or_of_too_much_is_refused() {
    for (length, wanted) in [(0, "found nothing"), (MOST_BYTES + 1, "longer than 131072 bytes")] {
        let dir = tempfile::tempdir().unwrap();
        let entry = TsmEntry::new(dir.path(), "mine", "tdx_guest");
        let asked = tsm(&entry, None);
        let _kernel = entry.answer(move |_| vec![1; length]);
        let error = asked.collect(&[1; 64]).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let asked = |folder: &str| Tsm { folder: dir.path().join(folder), entry: "mine", privlevel: None };
    let error = asked("nowhere").collect(&[1; 64]).unwrap_err().to_string();
    assert!(error.contains("nowhere/mine: make a report entry") && error.contains("CONFIG_TSM_REPORTS"), "{error}");
    // A folder that is no configfs: the entry has no attributes.
    let error = asked("").collect(&[1; 64]).unwrap_err().to_string();
    assert!(error.contains("mine/generation: open"), "{error}");
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "the entry is gone");
    for (generation, wanted) in [("many", "found \"many\", wanted a number"), ("\u{0}", "wanted a number")] {
        let entry = dir.path().join("mine");
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("generation"), generation).unwrap();
        let error = asked("").collect(&[1; 64]).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    fs::write(dir.path().join("mine/generation"), [0xff]).unwrap();
    let error = asked("").collect(&[1; 64]).unwrap_err().to_string();
    assert!(error.contains("wanted UTF-8"), "{error}");
}

#[test]
fn a_level_that_the_kernel_refuses_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let entry = TsmEntry::new(dir.path(), "mine", "sev_guest");
    fs::create_dir(dir.path().join("mine/privlevel")).unwrap();
    let error = tsm(&entry, Some(1)).collect(&[1; 64]).unwrap_err().to_string();
    assert!(error.contains("mine/privlevel: open for writing") && error.contains("evidence.privlevel"), "{error}");
}
