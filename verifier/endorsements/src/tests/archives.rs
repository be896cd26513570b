//! Carrying a folder's content to another one, and what must not come along.

use std::{fs, io::Cursor};

use podseal_appraisal::endorsement::Endorsed;
use tar::{EntryType, Header};

use super::maker::{NOW, admit_all, list};
use crate::{
    Folder, Put,
    archive::{self, ArchiveError, Imported},
};

const A: &str = "https://maker.example/a.crl";
const B: &str = "https://maker.example/b.crl";

fn folder(path: &tempfile::TempDir) -> Folder {
    Folder::open(path.path(), 1 << 20).unwrap()
}

fn filled(lists: &[(&str, u8)]) -> (tempfile::TempDir, Vec<u8>) {
    let path = tempfile::tempdir().unwrap();
    let from = folder(&path);
    for (url, number) in lists {
        let (endorsed, facts) = list(url, *number, NOW);
        from.put(&endorsed, &facts).unwrap();
    }
    let mut archive = Vec::new();
    archive::export(&from, |_| true, &mut archive).unwrap();
    (path, archive)
}

fn import(to: &Folder, archive: &[u8]) -> Result<Vec<Imported>, ArchiveError> {
    let imported = archive::import(to, Cursor::new(archive), NOW, admit_all)?;
    Ok(imported.into_iter().map(|(_, imported)| imported).collect())
}

/// An archive of one entry.
fn entry(name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    append(&mut builder, name, kind, content);
    builder.into_inner().unwrap()
}

fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_size(content.len() as u64);
    // Past the library's own checks, which refuse to write such names.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

#[test]
fn what_was_exported_is_imported_and_again_changes_nothing() {
    let (from, archive) = filled(&[(A, 5), (B, 7)]);
    let path = tempfile::tempdir().unwrap();
    let to = folder(&path);
    assert_eq!(import(&to, &archive).unwrap(), [Imported::Written; 2]);
    assert_eq!(to.list().unwrap(), folder(&from).list().unwrap());
    let before = fs::metadata(path.path().join("high-water-marks")).unwrap().modified().unwrap();
    assert_eq!(import(&to, &archive).unwrap(), [Imported::Kept; 2]);
    assert_eq!(fs::metadata(path.path().join("high-water-marks")).unwrap().modified().unwrap(), before);
    let mut again = Vec::new();
    archive::export(&to, |_| true, &mut again).unwrap();
    assert!(again == archive, "an archive has no trace of who made it, or when");
    let mut some = Vec::new();
    let written = archive::export(&to, |endorsement| endorsement.to_string() == B, &mut some).unwrap();
    assert_eq!((written.len(), import(&folder(&tempfile::tempdir().unwrap()), &some).unwrap().len()), (1, 1));
}

#[test]
fn long_names_survive() {
    // A chip's name has 150 characters, more than a plain tar header: the file's own name, not the certificate in it, is what counts here.
    let long = list(A, 5, NOW).0.endorsement.file_name();
    assert!(long.len() > 60);
    let name = "n".repeat(150);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, &name, &b"x"[..]).unwrap();
    let error = import(&folder(&tempfile::tempdir().unwrap()), &builder.into_inner().unwrap()).unwrap_err();
    assert!(matches!(&error, ArchiveError::Endorsement { name: found, .. } if *found == name), "{error}");
}

#[test]
fn marks_are_never_lowered() {
    let (_, old) = filled(&[(A, 5), (B, 7)]);
    let path = tempfile::tempdir().unwrap();
    let to = folder(&path);
    let (newer, facts) = list(A, 6, NOW - 50);
    assert_eq!(to.put(&newer, &facts).unwrap(), Put::Written);
    let mut imported = import(&to, &old).unwrap();
    imported.sort_by_key(|imported| *imported != Imported::Written);
    assert_eq!(imported, [Imported::Written, Imported::Lower { found: 5.into(), mark: 6.into() }]);
    assert_eq!(to.get(&newer.endorsement).unwrap().unwrap().endorsed, newer);
}

#[test]
fn archives_with_anything_else_change_nothing() {
    let (good, facts) = list(A, 5, NOW);
    let (name, file) = (good.endorsement.file_name(), good.encode());
    let regular = EntryType::Regular;
    let future = Endorsed { fetched: NOW + 301, ..good.clone() };
    let other = list(B, 5, NOW).0;
    let mut twice = tar::Builder::new(Vec::new());
    append(&mut twice, &name, regular, file.as_bytes());
    append(&mut twice, &name, regular, file.as_bytes());
    let mut one_good = tar::Builder::new(Vec::new());
    append(&mut one_good, &other.endorsement.file_name(), regular, other.encode().as_bytes());
    append(&mut one_good, "readme.txt", regular, b"hello");
    let mut huge = Header::new_gnu();
    huge.set_entry_type(regular);
    huge.set_path(&name).unwrap();
    huge.set_size(1 << 40);
    huge.set_cksum();
    let cut = { entry(&name, regular, file.as_bytes())[..512 + file.len() - 1].to_vec() };
    let cases = [
        ("a way out", entry(&format!("../{name}"), regular, file.as_bytes()), "found \"../crl-"),
        ("an absolute name", entry(&format!("/tmp/{name}"), regular, file.as_bytes()), "found \"/tmp/crl-"),
        ("a folder", entry(&format!("./{name}"), regular, file.as_bytes()), "found \"./crl-"),
        ("another one's name", entry(&name, regular, other.encode().as_bytes()), "found \"crl-"),
        ("the marks", entry("high-water-marks", regular, b"podseal high-water marks 1\n"), "high-water-marks"),
        ("a symbolic link", entry(&name, EntryType::Symlink, b""), "wanted only files"),
        ("a hard link", entry(&name, EntryType::Link, b""), "wanted only files"),
        ("a device", entry(&name, EntryType::Char, b""), "wanted only files"),
        ("a directory", entry(&name, EntryType::Directory, b""), "wanted only files"),
        ("a sparse file", entry(&name, EntryType::GNUSparse, b""), "archive"),
        ("one twice", twice.into_inner().unwrap(), "each once"),
        ("a stranger", one_good.into_inner().unwrap(), "readme.txt"),
        ("said to be huge", huge.as_bytes().to_vec(), "wanted at most"),
        ("cut short", cut, "is it a whole one"),
        ("from the future", entry(&name, regular, future.encode().as_bytes()), "in the future"),
        ("a changed byte", entry(&name, regular, file.replacen("-----\nM", "-----\nN", 1).as_bytes()), "the archive: crl-"),
        ("no archive", vec![b'x'; 2048], "the archive"),
    ];
    for (what, archive, wanted) in cases {
        let path = tempfile::tempdir().unwrap();
        let to = folder(&path);
        let error = import(&to, &archive).map(|_| what).unwrap_err().to_string();
        assert!(error.contains(wanted), "{what}: found {error}, wanted {wanted}");
        assert_eq!(fs::read_dir(path.path()).unwrap().count(), 0, "{what}");
    }
    let path = tempfile::tempdir().unwrap();
    let refused =
        archive::import(&folder(&path), Cursor::new(entry(&name, regular, file.as_bytes())), NOW, |_, _| Err("forged".to_owned()));
    assert!(matches!(refused, Err(ArchiveError::NotAdmitted { .. })));
    let small = Folder::open(path.path(), 100).unwrap();
    assert!(matches!(import(&small, &entry(&name, regular, file.as_bytes())), Err(ArchiveError::TooMuch(100))));
    assert!(folder(&path).put(&good, &facts).is_ok());
}
