//! A signed log, and what becomes visible when its entries or checkpoints are others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use podseal_appraisal::check::Verdict;

use super::*;

struct Log {
    verifier: Digest,
    key: Ed25519KeyPair,
    entries: Vec<Vec<u8>>,
}

impl Log {
    fn of(size: u64) -> Self {
        let kinds = [EntryKind::Released, EntryKind::Refused, EntryKind::Attested, EntryKind::Changed];
        let entry = |i: u64| Entry::new(format!("01J9C{i}"), i, kinds[(i % 4) as usize], vec![("change".to_owned(), Digest::of(b"x"))]);
        Self {
            verifier: Digest::of(b"a verifier"),
            key: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
            entries: (0..size).map(|i| entry(i).encode()).collect(),
        }
    }

    /// The note that the log key signs over the first `size` entries.
    fn note(&self, size: usize) -> String {
        let mut frontier = Frontier::default();
        self.entries[..size].iter().for_each(|entry| frontier.append(leaf_hash(entry)));
        let checkpoint = Checkpoint { size: frontier.size(), root: frontier.root() };
        let signature = self.key.sign(checkpoint.text(&self.verifier).as_bytes());
        checkpoint.note(&self.verifier, self.key.public_key().as_ref(), signature.as_ref())
    }

    fn newest(&self) -> String {
        self.note(self.entries.len())
    }

    /// The entries with their own positions.
    fn numbered(&self) -> Vec<(u64, Vec<u8>)> {
        self.entries.iter().cloned().enumerate().map(|(index, entry)| (index as u64, entry)).collect()
    }

    fn verify(&self, newest: &str, earlier: Option<&str>, entries: &[(u64, Vec<u8>)]) -> Verified {
        let signer = Signer { verifier: &self.verifier, key: self.key.public_key().as_ref() };
        let mut replay = LogReplay::new(newest, earlier, signer);
        for (index, entry) in entries {
            replay.append(*index, entry, &Limits::DEFAULT);
        }
        replay.finish()
    }

    /// The rules that stand in the way when these entries are shown under the newest note.
    fn obstacles(&self, entries: &[(u64, Vec<u8>)]) -> Vec<&'static str> {
        names(&self.verify(&self.newest(), None, entries).checks, Verdict::Fail)
    }
}

fn names(checks: &[Check], verdict: Verdict) -> Vec<&'static str> {
    checks.iter().filter(|check| check.verdict == verdict).map(|check| check.rule.name).collect()
}

#[test]
fn log_as_signed_verifies_at_every_size() {
    for size in 0..20 {
        let log = Log::of(size);
        let verified = log.verify(&log.newest(), None, &log.numbered());
        assert!(verified.checks.iter().all(|check| check.verdict == Verdict::Pass), "{size}: {:?}", verified.checks);
        assert_eq!(verified.checks.len(), RULES.len());
        assert!(verified.earlier.is_empty());
    }
    let log = Log::of(11);
    let population = log.verify(&log.newest(), None, &log.numbered()).population;
    assert_eq!(population, Population { released: 3, refused: 3, attested: 3, changed: 2 });
}

#[test]
fn entry_altered() {
    let log = Log::of(9);
    for index in 0..9 {
        let mut entries = log.numbered();
        let entry = Entry::decode(&entries[index].1, &Limits::DEFAULT).unwrap();
        entries[index].1 = Entry { time: entry.time + 1, ..entry }.encode();
        assert_eq!(log.obstacles(&entries), ["log.root"], "entry {index}");
    }
}

#[test]
fn entry_dropped() {
    let log = Log::of(9);
    for index in 0..8 {
        let mut entries = log.numbered();
        entries.remove(index);
        assert_eq!(log.obstacles(&entries), ["log.contiguous", "log.size", "log.root"], "entry {index}");
        // Numbered anew, so that no gap shows.
        let renumbered: Vec<_> = (0..).zip(entries.into_iter().map(|(_, entry)| entry)).collect();
        assert_eq!(log.obstacles(&renumbered), ["log.size", "log.root"], "entry {index}");
    }
}

#[test]
fn entries_reordered() {
    let log = Log::of(9);
    let mut entries = log.numbered();
    entries.swap(3, 4);
    assert_eq!(log.obstacles(&entries), ["log.contiguous", "log.root"]);
    let renumbered: Vec<_> = (0..).zip(entries.into_iter().map(|(_, entry)| entry)).collect();
    assert_eq!(log.obstacles(&renumbered), ["log.root"]);
    // The right bytes under other numbers: whoever cites entry 3 cites another one.
    let mut misnumbered = log.numbered();
    misnumbered[3].0 = 4;
    assert_eq!(log.obstacles(&misnumbered), ["log.contiguous"]);
}

#[test]
fn tail_cut_or_added() {
    let log = Log::of(9);
    let mut entries = log.numbered();
    entries.pop();
    assert_eq!(log.obstacles(&entries), ["log.size", "log.root"]);
    let mut entries = log.numbered();
    entries.push((9, entries[0].1.clone()));
    assert_eq!(log.obstacles(&entries), ["log.size", "log.root"]);
    assert_eq!(log.obstacles(&[]), ["log.size", "log.root"]);
}

#[test]
fn size_signed_with_the_root_of_fewer_entries() {
    let log = Log::of(9);
    let mut frontier = Frontier::default();
    log.entries.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
    let checkpoint = Checkpoint { size: 10, root: frontier.root() };
    let signature = log.key.sign(checkpoint.text(&log.verifier).as_bytes());
    let note = checkpoint.note(&log.verifier, log.key.public_key().as_ref(), signature.as_ref());
    assert_eq!(names(&log.verify(&note, None, &log.numbered()).checks, Verdict::Fail), ["log.size"]);
}

#[test]
fn signed_entry_that_is_none() {
    let mut log = Log::of(9);
    log.entries[5] = b"not an entry".to_vec();
    assert_eq!(log.obstacles(&log.numbered()), ["log.entries"]);
}

#[test]
fn note_of_another_key_leaves_everything_else_not_appraised() {
    let (log, mut other) = (Log::of(9), Log::of(9));
    other.key = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    for note in [other.newest(), String::new()] {
        let verified = log.verify(&note, None, &log.numbered());
        assert_eq!(verified.newest, None);
        assert_eq!(names(&verified.checks, Verdict::Fail), ["checkpoint.signature"]);
        let open = ["checkpoint.origin", "checkpoint.form", "log.contiguous", "log.entries", "log.size", "log.root"];
        assert_eq!(names(&verified.checks, Verdict::NotAppraised), open);
    }
}

#[test]
fn earlier_checkpoint_of_the_same_log_holds_at_every_size() {
    let log = Log::of(9);
    for size in 0..=9 {
        let verified = log.verify(&log.newest(), Some(&log.note(size)), &log.numbered());
        assert_eq!(verified.earlier.len(), 5);
        assert!(verified.earlier.iter().all(|check| check.verdict == Verdict::Pass), "{size}: {:?}", verified.earlier);
    }
}

#[test]
fn history_rewritten_since_the_earlier_checkpoint() {
    let (log, mut rewritten) = (Log::of(9), Log::of(9));
    rewritten.entries[2] = rewritten.entries[0].clone();
    // The new history is signed and complete in itself; only the earlier checkpoint tells.
    let verified = rewritten.verify(&rewritten.newest(), Some(&log.note(6)), &rewritten.numbered());
    assert_eq!(names(&verified.checks, Verdict::Fail), [""; 0]);
    assert_eq!(names(&verified.earlier, Verdict::Fail), ["log.earlier_root"]);
    let before = rewritten.verify(&rewritten.newest(), Some(&log.note(2)), &rewritten.numbered());
    assert_eq!(names(&before.earlier, Verdict::Fail), [""; 0], "what came before was not rewritten");
}

#[test]
fn log_set_back_behind_the_earlier_checkpoint() {
    let log = Log::of(9);
    let shorter = Log::of(7);
    let verified = shorter.verify(&shorter.newest(), Some(&log.note(9)), &shorter.numbered());
    assert_eq!(names(&verified.checks, Verdict::Fail), [""; 0]);
    assert_eq!(names(&verified.earlier, Verdict::Fail), ["log.earlier_size"]);
    assert_eq!(names(&verified.earlier, Verdict::NotAppraised), ["log.earlier_root"]);
}

#[test]
fn earlier_checkpoint_that_nobody_signed() {
    let log = Log::of(9);
    let forged = log.note(6).replace("\n6\n", "\n5\n");
    let verified = log.verify(&log.newest(), Some(&forged), &log.numbered());
    assert_eq!(names(&verified.earlier, Verdict::Fail), ["checkpoint.signature"]);
    assert!(names(&verified.earlier, Verdict::NotAppraised).contains(&"log.earlier_root"));
}
