//! `make bench`: how long a container waits for its secret, and how much memory and room the parts take.
//!
//! Real TPM protocol (swtpm), real containers, the programs beside this one. docs/FIGURES.md says what each figure means. Raw samples are kept in `target/bench`.
//! Exit code 1 where a gate is missed, or where anything that was started was not released its secret.

#![allow(clippy::indexing_slicing, reason = "only JSON values are indexed, where what is missing reads as null")]

mod clock;
mod crowd;
mod gates;
mod machine;
mod memory;
mod opens;
mod processors;
mod releases;
mod samples;
mod starts;
mod steps;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use gates::Gates;
use podseal_swtpm_tests::binaries::static_program;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::sandbox::{self, Scratch};
use podseal_swtpm_tests::site::Site;

const USAGE: &str = "usage: podseal-bench [STARTS] [PART]

STARTS: how many pods are started with the launcher, and as many without it; 60 where it is not said.
PART: one node's starts, steps and memory (node), many containers at once (crowd), or releases per second (releases);
all where it is not said.
Exit codes: 0 measured, all gates held; 1 not so (the reason is shown), 2 usage.";

const STARTS: usize = 60;
/// How long the daemons have nothing to do before their memory is read.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((starts, parts)) = asked(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = if sandbox::inside() {
        bench(starts, parts)
    } else if let Some(obstacle) = sandbox::obstacle() {
        Err(BenchError::answer("this machine", obstacle, "one that can run containers"))
    } else {
        sandbox::enter()
    };
    done.unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::FAILURE
    })
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Node,
    Crowd,
    Releases,
}

/// How many pods are started, and what is measured.
fn asked(words: &[String]) -> Option<(usize, &'static [Part])> {
    let (starts, part) = match words {
        [] => (None, None),
        [number, rest @ ..] if number.parse::<usize>().is_ok() => (number.parse().ok(), Some(rest)),
        rest => (None, Some(rest)),
    };
    let parts: &[Part] = match part.unwrap_or_default() {
        [] => &[Part::Node, Part::Crowd, Part::Releases],
        [word] if word == "node" => &[Part::Node],
        [word] if word == "crowd" => &[Part::Crowd],
        [word] if word == "releases" => &[Part::Releases],
        _ => return None,
    };
    Some((starts.unwrap_or(STARTS), parts)).filter(|(starts, _)| *starts > 0)
}

fn bench(starts: usize, parts: &[Part]) -> Result<ExitCode, BenchError> {
    let folder = folder()?;
    machine::describe();
    let scratch = Scratch::new()?;
    let (site_folder, on_disk) = (scratch.path().join("b"), verifier_on_disk(&folder)?);
    fs::create_dir(&site_folder).map_err(BenchError::io("make the site's folder"))?;
    symlink(on_disk.path(), site_folder.join("v")).map_err(BenchError::io("put the verifier on disk"))?;
    let site = Site::start(&site_folder)?;
    let mut gates = Gates::default();
    for part in parts {
        match part {
            Part::Node => node(&site, starts, &folder, &mut gates)?,
            Part::Crowd => crowd::measure(&site, &folder, &mut gates)?,
            Part::Releases => releases::measure(&site, &folder)?,
        }
    }
    gates.print();
    println!("\nraw samples: {}", folder.display());
    let without_gates = parts == [Part::Releases];
    Ok(if without_gates || gates.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One node that starts pods one after the other, and what it and the verifier take.
fn node(site: &Site, starts: usize, folder: &Path, gates: &mut Gates) -> Result<(), BenchError> {
    let node = site.node()?;
    println!("\n{starts} pods with the launcher and {starts} without, in turn, each in a fresh sandbox; milliseconds");
    let started = starts::measure(site, node, starts)?;
    started.print_and_save(folder)?;

    sleep(IDLE);
    let verifier = memory::of(site.verifier().daemon().pid())?;
    let attester = memory::family(node.attester().pid()).into_iter().map(memory::of).collect::<Result<Vec<_>, _>>()?;
    let names = ["attester, privileged", "attester, keeper", "attester, network"];
    let rows: Vec<_> = [("verifier", verifier)].into_iter().chain(names.into_iter().zip(attester.iter().copied())).collect();
    memory::print_and_save(&rows, folder)?;

    println!("\nThe steps of one request, the node's side driven from here, {starts} requests; milliseconds");
    let steps = steps::measure(site, folder, starts)?;
    steps.print_and_save(folder, &started)?;

    let launcher = static_program("podseal-launch");
    let size = fs::metadata(&launcher).map_err(BenchError::io(format!("look at {}", launcher.display())))?.len();
    gates.at_most("verifier, resident after idling, bytes", verifier.resident, 30_000_000);
    gates.at_most("attester, its processes' shares, bytes", attester.iter().map(|memory| memory.share).sum(), 20_000_000);
    gates.at_most("launcher, the file, bytes", size, 1_999_999);
    Ok(())
}

/// `target/bench`, wherever cargo keeps it: this program lies in `target/PROFILE`.
fn folder() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().map_err(BenchError::io("find the own program"))?;
    let target = own.ancestors().nth(2).unwrap_or(Path::new("."));
    let folder = target.join("bench");
    fs::create_dir_all(&folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
    Ok(folder)
}

/// The site lies in memory; the verifier's log, database and archive do not: a release waits for the disk.
fn verifier_on_disk(folder: &Path) -> Result<tempfile::TempDir, BenchError> {
    let made = tempfile::Builder::new().prefix("verifier-").permissions(fs::Permissions::from_mode(0o700)).tempdir_in(folder);
    made.map_err(BenchError::io(format!("make a folder in {}", folder.display())))
}
