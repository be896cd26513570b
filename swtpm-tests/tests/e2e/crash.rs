//! Log before deliver: wherever the verifier is killed, what arrived has its entry.
//!
//! strace counts calls per thread and injects SIGKILL before the Nth. The long series ask with a counterfeit exchange, which takes no container; real
//! containers follow at the calls around a release.

use std::path::Path;
use std::time::Duration;

use podseal_protocol::Digest;
use podseal_protocol::delivery::Receipt;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest, outcome};
use podseal_swtpm_tests::site::{Counterfeit, NodeOptions, Site, Workload};
use podseal_wire::LogRange;

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("log_before_deliver", log_before_deliver)];

type Failure = Box<dyn std::error::Error>;

const SYNCS: &str = "fsync,fdatasync";
const WRITES: &str = "write,pwrite64,pwritev,writev";
const SENDS: &str = "sendto,sendmsg,writev";
/// The write-ahead log of the verifier's database, whose sync is the commit.
const WAL: &str = "podseal.db-wal";
/// Beyond any of the series: one that comes so far does not end.
const MOST: usize = 400;
/// Runs without a kill that end a series: which of two threads makes a call differs from run to run.
const QUIET: usize = 2;
/// For the same reason the series of sends is run again until a kill fell between entry and delivery, at most so often.
const SERIES_OF_SENDS: usize = 8;

/// Calls to be killed at.
struct Series {
    calls: &'static str,
    file: Option<&'static str>,
}

const SERIES: [Series; 5] = [
    Series { calls: SYNCS, file: None },
    Series { calls: SYNCS, file: Some(WAL) },
    Series { calls: SENDS, file: None },
    Series { calls: WRITES, file: Some(WAL) },
    Series { calls: WRITES, file: None },
];

/// How many of the killed releases ended in which way.
#[derive(Debug, Default)]
struct Ends {
    /// Killed before the entry: nothing arrived, nothing is in the log.
    unlogged: usize,
    /// Killed between entry and delivery: a delivery was lost.
    lost: usize,
    /// It arrived.
    arrived: usize,
}

fn log_before_deliver(fixtures: &Fixtures) -> Outcome {
    let mut site = fixtures.own_site("crash")?;
    let fake = Counterfeit::enrol(&site, "crash-1", "crash")?;
    let claim = fake.claim()?;
    claim.open(site.verifier().digest(), fake.ask_one(&claim)?.delivered(&site)?)?;
    let mut unlogged = 0;
    for series in &SERIES {
        let mut ends = Ends::default();
        for _ in 0..SERIES_OF_SENDS {
            series.run(&mut site, &fake, &mut ends)?;
            if series.calls != SENDS || ends.lost > 0 {
                break;
            }
        }
        assert!(ends.unlogged + ends.lost > 0 && ends.arrived > 0, "{} {:?}: {ends:?}: killed never, or always", series.calls, series.file);
        assert!(series.calls != SENDS || ends.lost > 0, "no kill between entry and delivery: {ends:?}");
        unlogged += ends.unlogged;
    }
    assert!(unlogged > 0, "no kill before an entry");
    containers(&mut site)?;
    let rechecked = site.admin().run(&["audit", "recheck", "--all"], b"")?;
    assert_eq!(rechecked.code, Some(0), "{rechecked:?}");
    Ok(())
}

impl Series {
    /// N = 1, 2, … until releases complete without a kill.
    fn run(&self, site: &mut Site, fake: &Counterfeit, ends: &mut Ends) -> Result<(), Failure> {
        let (mut quiet, mut n) = (0, 1);
        while quiet < QUIET {
            assert!(n < MOST, "{} {:?}: N = {n}, and releases are still killed: {ends:?}", self.calls, self.file);
            if killed_at(site, fake, &self.words(site.verifier().data().as_path(), n), ends)? {
                quiet = 0;
            } else {
                quiet += 1;
            }
            n += 1;
        }
        Ok(())
    }

    fn words(&self, data: &Path, n: usize) -> Vec<String> {
        let mut words: Vec<String> = ["-f", "-qq", "-o", "/dev/null", "-e"].map(str::to_owned).into();
        words.extend([format!("trace={}", self.calls), "-e".into(), format!("inject={}:signal=KILL:when={n}", self.calls)]);
        if let Some(file) = self.file {
            words.extend(["-P".into(), data.join(file).display().to_string()]);
        }
        words
    }
}

/// Asks for one release from a verifier with these strace words; afterwards the log, as a verifier started anew has it, has what arrived. Whether it was
/// killed.
fn killed_at(site: &mut Site, fake: &Counterfeit, strace: &[String], ends: &mut Ends) -> Result<bool, Failure> {
    let size = log_size(site)?;
    let words: Vec<&str> = strace.iter().map(String::as_str).collect();
    let claim = fake.claim()?;
    // Killed before it served is killed too.
    let served = site.verifier_mut().restart_under(&words).is_ok();
    let answer = if served { fake.ask_one(&claim).ok() } else { None };
    let killed = answer.is_none() || site.verifier_mut().daemon_mut().has_ended();
    site.verifier_mut().restart()?;

    let grown = log_size(site)? - size;
    match answer {
        Some(answer) => {
            let taken = claim.open(site.verifier().digest(), answer.delivered(site)?)?;
            is_logged(site, &taken.receipt)?;
            assert_eq!(grown, 1, "{strace:?}: one release, one entry");
            ends.arrived += 1;
        }
        None if grown == 0 => ends.unlogged += 1,
        None => ends.lost += 1,
    }
    let verified = site.admin().run(&["log", "verify"], b"")?;
    assert_eq!(verified.code, Some(0), "{strace:?}: {verified:?}");
    Ok(killed)
}

/// The log has the entry that a receipt names, and it says that a secret was released.
fn is_logged(site: &Site, receipt: &Receipt) -> Result<(), Failure> {
    let explained = site.explain(&receipt.context.audit_id)?;
    assert_eq!((explained.result(), explained.0.entry_index), ("released", Some(receipt.entry_index)), "{}", explained.told());
    let range = LogRange { from: receipt.entry_index, count: 1 };
    let page = site.admin().call(|mut client| async move { client.list_log(range).await })?;
    assert_eq!(page.entries.first().map(|entry| Digest::of(&entry.entry)), Some(receipt.entry));
    Ok(())
}

fn log_size(site: &Site) -> Result<u64, Failure> {
    Ok(site.admin().call(|mut client| async move { client.list_log(LogRange { from: 0, count: 1 }).await })?.size)
}

/// The same with real containers: each gets its secret in the end, and that it did is in the log.
fn containers(site: &mut Site) -> Result<(), Failure> {
    let node = site.start_node(NodeOptions::new(site, "crash-2"))?;
    let workload = Workload::new(site, "crash-pods");
    let value = site.entitle(&workload, &node)?;
    let mut killed = 0;
    for (calls, file, n) in [(SYNCS, Some(WAL), 1), (SYNCS, None, 3), (SENDS, None, 6), (SENDS, None, 9)] {
        let words = Series { calls, file }.words(site.verifier().data().as_path(), n);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        killed += usize::from(site.verifier_mut().restart_under(&words).is_err());
        let pod = workload.run(site, &node)?;
        let verifier = site.verifier_mut().daemon_mut();
        wait_for("the verifier is killed, or the pod has its answer", PATIENCE, || {
            let answered = outcome(&pod.container).map_err(|error| error.to_string())?.is_some();
            if answered || verifier.has_ended() { Ok(()) } else { Err("neither".to_owned()) }
        })?;
        killed += usize::from(verifier.has_ended());
        site.verifier_mut().restart()?;
        let portrait = pod.started()?;
        assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(value), "{calls} {n}: {portrait}");
        let explained = site.explain(&pod.released_as()?)?;
        assert_eq!((explained.result(), explained.0.entry_index.is_some()), ("released", true), "{calls} {n}: {}", explained.told());
        pod.container.stop(Duration::from_secs(5))?;
    }
    assert!(killed > 0, "no container's release was killed");
    Ok(())
}
