//! Whether entries are the log that a checkpoint signs: a pure function over the entries as they come.

use podseal_appraisal::{
    check::{Check, Checks, Rule},
    checkpoint::{self, Checkpoint},
    entry::{Entry, EntryKind},
    merkle::{Frontier, leaf_hash},
};
use podseal_protocol::{Digest, Limits, cbor::Malformed};

/// Positions are 0, 1, 2, …
pub(crate) static CONTIGUOUS: Rule = Rule {
    name: "log.contiguous",
    spec: "RFC 9162, 2.1: an ordered list",
    remedy: "Entries are missing or out of order in what the verifier sent: keep the checkpoint, and find out what its store lost.",
};
/// Every entry is one.
pub(crate) static ENTRIES: Rule = Rule {
    name: "log.entries",
    spec: "docs/PROTOCOL.md, podseal.entry.v1",
    remedy: "The log has an entry that no released verifier writes: find out what wrote it.",
};
/// As many as were signed.
pub(crate) static SIZE: Rule = Rule {
    name: "log.size",
    spec: "C2SP tlog-checkpoint v1.0.0, Note text: tree size",
    remedy: "The verifier signed more entries than it shows: restore its store from the newest backup, and ask who cut it.",
};
/// The root that was signed.
pub(crate) static ROOT: Rule = Rule {
    name: "log.root",
    spec: "RFC 9162, 2.1.1",
    remedy: "An entry was changed after it was signed: keep this output and the checkpoint, and compare with a backup of the store.",
};
/// The log did not shrink since the earlier checkpoint.
pub(crate) static EARLIER_SIZE: Rule = Rule {
    name: "log.earlier_size",
    spec: "RFC 9162, 2.1.4: the larger tree extends the smaller",
    remedy: "The verifier was set back to an older state: restore the newest backup of its store, and treat what came between as unlogged.",
};
/// The earlier checkpoint signs the beginning of this log.
pub(crate) static EARLIER_ROOT: Rule = Rule {
    name: "log.earlier_root",
    spec: "RFC 9162, 2.1.4: the larger tree extends the smaller",
    remedy: "History was rewritten since the earlier checkpoint: keep both checkpoints as evidence; each carries the verifier's signature.",
};

/// What every verification owes.
pub(crate) static RULES: [&Rule; 7] = [&checkpoint::SIGNATURE, &checkpoint::ORIGIN, &checkpoint::FORM, &CONTIGUOUS, &ENTRIES, &SIZE, &ROOT];
/// What one against an earlier checkpoint owes besides.
static EARLIER_RULES: [&Rule; 5] = [&checkpoint::SIGNATURE, &checkpoint::ORIGIN, &checkpoint::FORM, &EARLIER_SIZE, &EARLIER_ROOT];

/// Under which key, and from which verifier, checkpoints are accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signer<'a> {
    /// The pinned identity.
    pub(crate) verifier: &'a Digest,
    /// The certified log key: 32 bytes of Ed25519.
    pub(crate) key: &'a [u8],
}

/// How many entries of each kind a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Population {
    pub(crate) released: u64,
    pub(crate) refused: u64,
    pub(crate) attested: u64,
    pub(crate) changed: u64,
}

/// A verification on its way: takes the entries in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct LogReplay {
    newest: Option<Checkpoint>,
    checks: Checks,
    earlier: Option<Earlier>,
    frontier: Frontier,
    population: Population,
    misplaced: Option<(u64, u64)>,
    malformed: Option<(u64, Malformed)>,
}

/// The checkpoint of an earlier run, and the root of as many entries of this log.
#[derive(Debug)]
struct Earlier {
    checkpoint: Option<Checkpoint>,
    checks: Checks,
    root: Option<Digest>,
}

impl LogReplay {
    /// Verifies the newest note, and the earlier one where there is one.
    pub(crate) fn new(newest: &str, earlier: Option<&str>, signer: Signer<'_>) -> Self {
        let mut checks = Checks::owing(&RULES);
        let earlier = earlier.map(|note| {
            let mut checks = Checks::owing(&EARLIER_RULES);
            Earlier { checkpoint: Checkpoint::verify(note, signer.verifier, signer.key, &mut checks), checks, root: None }
        });
        let newest = Checkpoint::verify(newest, signer.verifier, signer.key, &mut checks);
        let frontier = Frontier::default();
        let mut replay = Self { newest, checks, earlier, frontier, population: Population::default(), misplaced: None, malformed: None };
        replay.mark();
        replay
    }

    /// How many entries are to come; none where the note does not verify.
    pub(crate) fn wanted(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.size.saturating_sub(self.frontier.size()))
    }

    /// Takes the next entry, which was sent as that of position `index`.
    pub(crate) fn append(&mut self, index: u64, entry: &[u8], limits: &Limits) {
        let position = self.frontier.size();
        if index != position {
            self.misplaced.get_or_insert((position, index));
        }
        match Entry::decode(entry, limits) {
            Ok(entry) => match entry.kind {
                EntryKind::Released => self.population.released += 1,
                EntryKind::Refused => self.population.refused += 1,
                EntryKind::Attested => self.population.attested += 1,
                EntryKind::Changed => self.population.changed += 1,
            },
            Err(error) => {
                self.malformed.get_or_insert((position, error));
            }
        }
        self.frontier.append(leaf_hash(entry));
        self.mark();
    }

    /// Takes down the root when the log has as many entries as the earlier checkpoint.
    fn mark(&mut self) {
        if let Some(earlier) = &mut self.earlier
            && earlier.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.size == self.frontier.size())
        {
            earlier.root = Some(self.frontier.root());
        }
    }

    /// The steps about this log, those about the earlier checkpoint, and what is in the log.
    pub(crate) fn finish(mut self) -> Verified {
        if let Some(newest) = &self.newest {
            let found = |misplaced: Option<(u64, u64)>| match misplaced {
                None => format!("{} entries in order", self.frontier.size()),
                Some((wanted, found)) => format!("entry {found} in the place of {wanted}"),
            };
            self.checks.record(&CONTIGUOUS, self.misplaced.is_none(), "entries 0, 1, 2, …", found(self.misplaced));
            let form = self.malformed.map_or_else(|| "all of them".to_owned(), |(position, error)| format!("entry {position}: {error}"));
            self.checks.record(&ENTRIES, self.malformed.is_none(), "entries in their canonical form", form);
            let (size, root) = (self.frontier.size(), self.frontier.root());
            self.checks.record(&SIZE, size == newest.size, format!("{} entries, as signed", newest.size), format!("{size} entries"));
            self.checks.record(&ROOT, root == newest.root, format!("root {}, as signed", newest.root), format!("root {root}"));
        }
        let earlier = self.earlier.map(|earlier| earlier.finish(self.frontier.size())).unwrap_or_default();
        Verified { newest: self.newest, checks: self.checks.finish(), earlier, population: self.population }
    }
}

impl Earlier {
    fn finish(mut self, size: u64) -> Vec<Check> {
        if let Some(checkpoint) = &self.checkpoint {
            let (wanted, found) = (format!("at least {} entries", checkpoint.size), format!("{size} entries"));
            let grown = self.checks.record(&EARLIER_SIZE, checkpoint.size <= size, wanted, found);
            if let Some(root) = self.root.filter(|_| grown) {
                let (wanted, found) = (format!("root {}, as signed then", checkpoint.root), format!("root {root}"));
                self.checks.record(&EARLIER_ROOT, root == checkpoint.root, wanted, found);
            }
        }
        self.checks.finish()
    }
}

/// What a verification came to.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The newest checkpoint, where its note verifies.
    pub(crate) newest: Option<Checkpoint>,
    /// The steps about this log.
    pub(crate) checks: Vec<Check>,
    /// The steps about the earlier checkpoint; empty where none was given.
    pub(crate) earlier: Vec<Check>,
    /// How many entries of each kind.
    pub(crate) population: Population,
}

#[cfg(test)]
mod tests;
