//! Where on this machine is a secret? Searches it for a canary: every file, inside what is compressed, what processes hold open, their arguments,
//! environments and memory, in each form in which programs write what they should not have ([`patterns`]).
//!
//! It looks with root's rights at what its own PID and mount namespaces, and those of every process it sees, can show. What it leaves out it names; what it
//! could not search makes the hunt [incomplete](Verdict::Incomplete). It is a walk and not a snapshot: what moves while it looks may be missed.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

pub mod canary;
mod contents;
mod errand;
mod expectation;
mod files;
mod filesystems;
mod memory;
pub mod patterns;
mod processes;
mod report;
mod stream;

pub use canary::Canary;
pub use errand::Errand;
pub use expectation::{Exemption, Expectation, NotOneProcess};
pub use patterns::Patterns;
pub use report::{Gap, Hit, Holder, Kind, Report, Searched, Verdict};

use filesystems::Filesystem;
use stream::{Finds, Stream};

/// What to search, and where it may be.
#[derive(Debug, Default)]
pub struct Plan {
    /// Folders of the own mount namespace to search; empty: everything, and what the mount namespaces of other processes add.
    pub roots: Vec<std::path::PathBuf>,
    /// When the canary was drawn, in seconds since 1970. Files on disks that were not changed since (contents, attributes or name) can't have it, and are not
    /// read. Without it every file is.
    pub born: Option<u64>,
    /// Where it may be.
    pub expected: Vec<Expectation>,
    /// Processes whose memory has it for a reason that is told.
    pub exempt: Vec<Exemption>,
}

/// A file, whatever its name: device and number.
type Identity = (u64, u64);

/// A hunt under way.
struct Hunt<'p> {
    plan: &'p Plan,
    patterns: &'p Patterns,
    stream: Stream<'p>,
    filesystems: HashMap<u64, Filesystem>,
    folders: HashSet<Identity>,
    searched: HashSet<Identity>,
    report: Report,
}

/// Searches the machine.
pub fn hunt(patterns: &Patterns, plan: &Plan) -> Report {
    let start = Instant::now();
    let mut hunt = Hunt {
        plan,
        patterns,
        stream: Stream::new(patterns),
        filesystems: HashMap::new(),
        folders: HashSet::new(),
        searched: HashSet::new(),
        report: Report::default(),
    };
    hunt.everything();
    let mut report = hunt.report;
    report.finish(plan, start.elapsed());
    report
}

impl Hunt<'_> {
    fn everything(&mut self) {
        let own = processes::View::own();
        if self.plan.roots.is_empty() {
            self.namespace(&own);
        }
        for root in &self.plan.roots {
            self.walk(root, &own);
        }
        self.processes(&own);
        self.cores();
    }

    /// Takes down where something was found.
    fn found(&mut self, finds: Finds, kind: Kind, holder: Option<&Holder>, namespace: &str, path: &str) {
        if finds.is_empty() {
            return;
        }
        let expected = self.plan.expected.iter().find(|expectation| expectation.covers(kind, holder, namespace, path));
        let exempt = self.plan.exempt.iter().find(|exemption| exemption.covers(kind, holder));
        self.report.hits.push(Hit {
            kind,
            holder: holder.cloned(),
            path: path.to_owned(),
            forms: finds.into_iter().map(|(form, at)| (form.to_owned(), at)).collect(),
            expected: expected.map(Expectation::name),
            exempt: exempt.map(|exemption| exemption.why.clone()),
        });
    }

    /// Whoever vanished while we looked holds nothing any more; everything else is a gap.
    fn failed(&mut self, what: impl Into<String>, error: &std::io::Error) {
        use rustix::io::Errno;
        let vanished = [Errno::NOENT, Errno::SRCH, Errno::NOTDIR].map(|errno| Some(errno.raw_os_error()));
        if !vanished.contains(&error.raw_os_error()) {
            self.report.incomplete.push(Gap { what: what.into(), why: error.to_string() });
        }
    }

    /// Says where the kernel leaves core dumps (core(5)).
    fn cores(&mut self) {
        let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
        if let Some(handler) = pattern.trim_end().strip_prefix('|') {
            let why = "it runs outside of these namespaces, and keeps core dumps as it likes".to_owned();
            self.report.not_searched.insert(format!("what the core dump handler `{handler}` was given"), why);
        }
        self.report.cores = pattern.trim_end().to_owned();
    }
}
