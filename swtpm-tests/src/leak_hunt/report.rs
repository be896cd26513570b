//! What a hunt found, and what it could not see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Plan;

/// What kind of place something was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file.
    File,
    /// What a gzip file, such as an image's layer, unpacks to.
    Compressed,
    /// The name of a file or folder.
    Name,
    /// Where a symbolic link points.
    LinkTarget,
    /// A file that a process holds and that has no name: deleted, a memfd, shared memory.
    Nameless,
    /// A file that a process holds, by a path that leads nowhere from here.
    Open,
    /// Arguments of a process.
    Arguments,
    /// Environment of a process.
    Environment,
    /// Memory of a process.
    Memory,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Compressed => "compressed in the file",
            Self::Name => "name of the file",
            Self::LinkTarget => "target of the link",
            Self::Nameless => "file without a name",
            Self::Open => "open file",
            Self::Arguments => "arguments",
            Self::Environment => "environment",
            Self::Memory => "memory",
        })
    }
}

/// A process: the one that has it, or through whose mount namespace a file was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// In the hunter's PID namespace.
    pub pid: u32,
    /// As the kernel calls it.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// One place in which the canary is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// What kind of place.
    pub kind: Kind,
    /// Of which process, or as which process sees it; none for files that the hunter itself sees.
    pub holder: Option<Holder>,
    /// The file, or the mapping; empty for arguments and environments.
    pub path: String,
    /// In which forms, and where the first of each ends: an offset, in memory an address.
    pub forms: BTreeMap<String, u64>,
    /// The expectation that covers it.
    pub expected: Option<String>,
    /// Why it does not count.
    pub exempt: Option<String>,
}

impl Hit {
    /// Neither expected nor exempt.
    pub fn is_leak(&self) -> bool {
        self.expected.is_none() && self.exempt.is_none()
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        if let Some(holder) = &self.holder {
            write!(f, " of {holder}")?;
        }
        let forms: Vec<String> = self.forms.iter().map(|(form, at)| format!("{form} at {at:#x}")).collect();
        write!(f, ": {}", forms.join(", "))
    }
}

/// Something that was not searched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// How much was searched.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Searched {
    /// Files that were read.
    pub files: u64,
    /// Files that were not changed since the canary is there.
    pub unchanged: u64,
    /// Bytes of files, arguments and environments, unpacked ones too.
    pub bytes: u64,
    /// Processes.
    pub processes: u64,
    /// Bytes of their memory.
    pub memory: u64,
    /// How long it took.
    pub milliseconds: u64,
}

/// What is to be made of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Found where it may be, and nowhere else.
    Holds,
    /// Found elsewhere.
    Leaks,
    /// Something could not be searched, or it was not found where it is expected: then nothing else proves anything.
    Incomplete,
}

/// The result of a hunt.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What to make of it.
    pub verdict: Option<Verdict>,
    /// Where it is.
    pub hits: Vec<Hit>,
    /// What could not be searched.
    pub incomplete: Vec<Gap>,
    /// What was left out, and why that is no loss; or why it is one.
    pub not_searched: BTreeMap<String, String>,
    /// How much was searched.
    pub searched: Searched,
    /// Where the kernel leaves core dumps (core(5)): relative to the process's folder, absolute, or a handler.
    pub cores: String,
}

impl Report {
    pub(super) fn finish(&mut self, plan: &Plan, took: Duration) {
        self.searched.milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let own = "it holds the canary, and ends with this report".to_owned();
        self.not_searched.insert(format!("this hunter (process {})", std::process::id()), own);
        for expectation in &plan.expected {
            if !self.hits.iter().any(|hit| hit.expected.as_ref() == Some(&expectation.name())) {
                self.incomplete.push(Gap { what: expectation.name(), why: "it is expected there, and was not found".into() });
            }
        }
        self.verdict = Some(if self.leaks().next().is_some() {
            Verdict::Leaks
        } else if self.incomplete.is_empty() {
            Verdict::Holds
        } else {
            Verdict::Incomplete
        });
    }

    /// Where it is and may not be.
    pub fn leaks(&self) -> impl Iterator<Item = &Hit> {
        self.hits.iter().filter(|hit| hit.is_leak())
    }

    /// In how many places it is, for who counts: an application with its files and memory is one, a leak is one.
    pub fn places(&self) -> usize {
        let expected: BTreeSet<&String> = self.hits.iter().filter_map(|hit| hit.expected.as_ref()).collect();
        expected.len() + self.leaks().count()
    }

    /// For people: what was searched, where it is, what was left out.
    pub fn told(&self) -> String {
        let Searched { files, unchanged, bytes, processes, memory, milliseconds } = &self.searched;
        let mut told = String::new();
        let mut line = |text: String| {
            let _never_fails = writeln!(told, "{text}");
        };
        line(format!(
            "searched   {files} files with {} MB, {processes} processes with {} MB of memory, in {:.1} s",
            bytes >> 20,
            memory >> 20,
            *milliseconds as f64 / 1e3
        ));
        line(format!("unchanged  {unchanged} files are older than the canary, and were not read"));
        let marked = |mark: &str, hits: &mut dyn Iterator<Item = String>| hits.map(|text| format!("{mark}{text}")).collect::<Vec<_>>();
        let of = |hit: &Hit, words: &Option<String>| format!("{}: {hit}", words.clone().unwrap_or_default());
        let expected = &mut self.hits.iter().filter(|hit| hit.expected.is_some()).map(|hit| of(hit, &hit.expected));
        marked("found      ", expected).into_iter().for_each(&mut line);
        let exempt = &mut self.hits.iter().filter(|hit| hit.exempt.is_some()).map(|hit| of(hit, &hit.exempt));
        marked("exempt     ", exempt).into_iter().for_each(&mut line);
        marked("LEAK       ", &mut self.leaks().map(Hit::to_string)).into_iter().for_each(&mut line);
        let gaps = &mut self.incomplete.iter().map(|gap| format!("{}: {}", gap.what, gap.why));
        marked("INCOMPLETE ", gaps).into_iter().for_each(&mut line);
        let left_out = &mut self.not_searched.iter().map(|(what, why)| format!("{what}: {why}"));
        marked("left out   ", left_out).into_iter().for_each(&mut line);
        told
    }
}
