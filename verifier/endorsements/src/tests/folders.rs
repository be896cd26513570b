//! The folder: whole files, one name each, marks that only rise.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
};

use super::maker::{NOW, list};
use crate::{Folder, FolderError, Put};

const URL: &str = "https://maker.example/a.crl";
const MOST: u64 = 1 << 20;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_and_marks_are_the_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("endorsements");
    let folder = Folder::open(&path, MOST).unwrap();
    let (endorsed, facts) = list(URL, 5, NOW);
    assert_eq!(folder.put(&endorsed, &facts).unwrap(), Put::Written);
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    assert_eq!(folder.get(&endorsed.endorsement).unwrap().unwrap().endorsed, endorsed);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(Folder::open(&path, MOST), Err(FolderError::Mode { found: 0o770, .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    match chown(&path, Some(65_534), None) {
        Ok(()) => assert!(matches!(Folder::open(&path, MOST), Err(FolderError::Owner { found: 65_534, .. }))),
        // Not eprintln: a skip shows also where the harness captures output.
        Err(error) => writeln!(std::io::stderr(), "SKIPPED the folder of another owner: needs root: {error}").unwrap(),
    }
}

#[test]
fn newer_is_by_number_then_by_when_it_was_fetched() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path(), MOST).unwrap();
    let put = |number, fetched| {
        let (endorsed, facts) = list(URL, number, fetched);
        folder.put(&endorsed, &facts)
    };
    assert_eq!(put(5, NOW).unwrap(), Put::Written);
    assert_eq!(put(5, NOW).unwrap(), Put::Kept);
    assert_eq!(put(5, NOW - 1).unwrap(), Put::Kept);
    assert_eq!(put(5, NOW + 1).unwrap(), Put::Written);
    assert_eq!(put(6, NOW - 100).unwrap(), Put::Written);
    assert!(matches!(put(5, NOW + 9), Err(FolderError::Lower { .. })));
    fs::remove_file(path.path().join(list(URL, 1, NOW).0.endorsement.file_name())).unwrap();
    assert!(matches!(put(5, NOW + 9), Err(FolderError::Lower { .. })));
    assert_eq!(put(6, NOW).unwrap(), Put::Written);
}

#[test]
fn a_file_below_the_mark_is_not_used() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path(), MOST).unwrap();
    let (old, old_facts) = list(URL, 5, NOW);
    folder.put(&old, &old_facts).unwrap();
    let file = path.path().join(old.endorsement.file_name());
    let bytes = fs::read(&file).unwrap();
    let (new, new_facts) = list(URL, 6, NOW);
    folder.put(&new, &new_facts).unwrap();
    // Somebody restores a backup of that file alone.
    fs::write(&file, bytes).unwrap();
    assert!(matches!(folder.get(&old.endorsement), Err(FolderError::Lower { .. })));
    assert_eq!(folder.put(&new, &new_facts).unwrap(), Put::Written);
    // Or without the marks: then the file itself is the mark.
    fs::remove_file(path.path().join("high-water-marks")).unwrap();
    assert!(matches!(folder.put(&old, &old_facts), Err(FolderError::Lower { .. })));
}

#[test]
fn what_is_no_endorsement_is_told_and_replaced() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path(), MOST).unwrap();
    let (endorsed, facts) = list(URL, 5, NOW);
    let file = path.path().join(endorsed.endorsement.file_name());
    let other = list("https://maker.example/b.crl", 5, NOW).0;
    for wrong in ["".to_owned(), "x".repeat(9 << 20), other.encode(), endorsed.encode().replacen("Z", "Y", 1)] {
        fs::write(&file, wrong).unwrap();
        assert!(folder.get(&endorsed.endorsement).is_err());
        assert!(folder.list().is_err());
        assert_eq!(folder.put(&endorsed, &facts).unwrap(), Put::Written);
        assert!(folder.get(&endorsed.endorsement).unwrap().is_some());
    }
    fs::write(&file, "x".repeat(9 << 20)).unwrap();
    assert!(folder.get(&endorsed.endorsement).unwrap_err().to_string().contains("more bytes than such a file has"));
    // A link leads nowhere, and is replaced, not followed.
    let outside = path.path().join("outside");
    fs::write(&outside, endorsed.encode()).unwrap();
    fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    assert!(matches!(folder.get(&endorsed.endorsement), Err(FolderError::File { .. })));
    folder.put(&endorsed, &facts).unwrap();
    assert!(fs::symlink_metadata(&file).unwrap().is_file());

    fs::write(path.path().join("high-water-marks"), "podseal high-water marks 1\nx 05\n").unwrap();
    assert!(matches!(folder.get(&endorsed.endorsement), Err(FolderError::Marks(_))));
    assert!(matches!(folder.put(&endorsed, &facts), Err(FolderError::Marks(_))));
}

#[test]
fn the_folder_has_its_size_and_nothing_half_written() {
    let path = tempfile::tempdir().unwrap();
    let (endorsed, facts) = list(URL, 5, NOW);
    let length = endorsed.encode().len() as u64;
    fs::write(path.path().join(".new-x"), vec![0; 5000]).unwrap();
    let folder = Folder::open(path.path(), length + 200).unwrap();
    assert_eq!(folder.put(&endorsed, &facts).unwrap(), Put::Written);
    assert!(!path.path().join(".new-x").exists());
    // It can be renewed in its own place, and nothing else fits.
    let (renewed, facts) = list(URL, 5, NOW + 1);
    assert_eq!(folder.put(&renewed, &facts).unwrap(), Put::Written);
    let (other, facts) = list("https://maker.example/b.crl", 5, NOW);
    assert!(matches!(folder.put(&other, &facts), Err(FolderError::Full { .. })));
    assert_eq!(folder.list().unwrap().len(), 1);
}
