//! Where the time of a request goes: the attester's own code for the TPM and the binding, called from here, against the running verifier.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::site::{Counterfeit, Site};

use crate::clock::nanoseconds;
use crate::samples::Samples;
use crate::starts::Starts;

const WARM_UP: usize = 5;
const CONNECT: &str = "connect: TLS to the verifier";
const CHALLENGE: &str = "challenge, on a new connection";
const QUOTE: &str = "collect: the TPM quotes";
const EXCHANGE: &str = "exchange, on a new connection";
const SYNC: &str = "for comparison: one fsync of 4 KiB";

/// What was measured. Every request in it was released.
pub(crate) struct Steps {
    samples: Samples<5>,
}

/// Makes `rounds` requests of one leaf from an enrolled machine of their own. `disk` is a folder beside the verifier's.
///
/// # Errors
/// Also where one of them is refused.
pub(crate) fn measure(site: &Site, disk: &Path, rounds: usize) -> Result<Steps, BenchError> {
    let node = Counterfeit::enrol(site, "node-steps", "steps")?;
    let mut file = tempfile::tempfile_in(disk).map_err(BenchError::io(format!("make a file in {}", disk.display())))?;
    let mut samples = Samples::new([CONNECT, CHALLENGE, QUOTE, EXCHANGE, SYNC]);
    for round in 0..WARM_UP + rounds {
        let claim = node.claim()?;
        let (connect, _) = timed(|| site.admin().channel(None))?;
        let (challenge, plan) = timed(|| node.plan(&[&claim]))?;
        let (quote, exchange) = timed(|| node.collect(plan))?;
        let (exchanged, answers) = timed(|| node.send(&exchange))?;
        let (sync, ()) = timed(|| write_through(&mut file))?;
        let answer = answers.first().ok_or_else(|| BenchError::answer("the verifier", "no outcome", "one for the leaf"))?;
        answer.delivered(site)?;
        if round >= WARM_UP {
            samples.push([connect, challenge, quote, exchanged, sync]);
        }
    }
    Ok(Steps { samples })
}

/// Appends 4 KiB and waits until they are on disk: what a log entry costs at the very least.
fn write_through(file: &mut File) -> Result<(), BenchError> {
    file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map_err(BenchError::io("write and fsync 4 KiB"))
}

fn timed<T>(work: impl FnOnce() -> Result<T, BenchError>) -> Result<(u64, T), BenchError> {
    let start = Instant::now();
    let done = work()?;
    Ok((nanoseconds(start.elapsed()), done))
}

impl Steps {
    /// Shows them, and the launcher's start against what no design can leave out: one quote, and one entry on disk before the secret goes out.
    pub(crate) fn print_and_save(&self, folder: &Path, starts: &Starts) -> Result<(), BenchError> {
        self.samples.print();
        let unavoidable = self.samples.percentile(QUOTE, 50) + self.samples.percentile(SYNC, 50);
        println!("{:<34} | {:>9} | {unavoidable:>9.2} |", "unavoidable: quote and one fsync", "");
        println!("{:<34} | {:>9} | {:>9.2} |", "ratio, launcher start to it", "", starts.launcher(50) / unavoidable);
        self.samples.save(&folder.join("steps.csv"))
    }
}
