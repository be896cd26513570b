//! Many containers started at once: how many quotes they take, and when the last of them has its secret.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use podseal_protocol::Digest;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::raw_tpm::{CC_PCR_EXTEND, CC_QUOTE};
use podseal_swtpm_tests::site::{Node, NodeOptions, Site, Workload};
use podseal_swtpm_tests::tpm_proxy::TpmProxy;
use serde_json::Value;

use crate::clock::Begin;
use crate::gates::Gates;
use crate::samples::Samples;
use crate::starts::{has_secret, was_released};

const NAMESPACE: &str = "crowd";
/// Containers that start at the same moment.
pub(crate) const COUNT: usize = 64;
/// Of the quotes for all of them.
const MOST_QUOTES: u64 = 4;
/// How long a TPM made of hardware signs.
const HARDWARE: Duration = Duration::from_millis(300);
/// The pod log has recorded all sandboxes when nothing was extended for so long.
const QUIET: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

const WITHOUT: &str = "StartContainer → application, bare";
const WITH: &str = "the same with the launcher";

/// One crowd, from the first StartContainer.
struct Crowd {
    /// When each application ran, ascending, in nanoseconds.
    applications: Vec<u64>,
    quotes: usize,
    extends: usize,
}

/// Starts [`COUNT`] containers at once without and with the launcher, before a TPM as fast as it is and before one that signs like hardware.
///
/// # Errors
/// Also where an application did not find the secret that was put, or the verifier's own account of one is not that it was released.
pub(crate) fn measure(site: &Site, folder: &Path, gates: &mut Gates) -> Result<(), BenchError> {
    let node = site.start_node(NodeOptions { proxied: true, ..NodeOptions::new(site, "node-crowd") })?;
    let proxy = node.machine().proxy().ok_or_else(|| BenchError::answer("the node", "no proxy", "the one that was asked for"))?;
    let launched = Workload::new(site, NAMESPACE);
    let bare = launched.clone().command(&["/payment-api"]);
    let secret = site.entitle(&launched, &node)?;
    // Images are unpacked, connections made, logs replayed.
    start(site, &node, proxy, &launched, 1, Some(secret))?;
    for (name, signing, gate) in [
        ("software", Duration::ZERO, "quotes for 64 containers at once"),
        ("hardware", HARDWARE, "quotes for 64 at once, 300 ms a signature"),
    ] {
        proxy.slow(signing);
        let without = start(site, &node, proxy, &bare, COUNT, None)?;
        let with = start(site, &node, proxy, &launched, COUNT, Some(secret))?;
        println!("\n{COUNT} containers at once, a TPM2_Quote takes {} ms longer than swtpm's; milliseconds", signing.as_millis());
        show(&without, &with, &folder.join(format!("crowd-{name}.csv")))?;
        gates.at_most(gate, with.quotes as u64, MOST_QUOTES);
    }
    Ok(())
}

/// Starts a crowd, whose applications must find `secret` where there is one; all is gone when this returns.
fn start(
    site: &Site,
    node: &Node,
    proxy: &TpmProxy,
    workload: &Workload,
    count: usize,
    secret: Option<Digest>,
) -> Result<Crowd, BenchError> {
    let crowd = workload.crowd(site, node, count)?;
    quiet(proxy);
    let (quotes, extends) = (proxy.count(CC_QUOTE), proxy.count(CC_PCR_EXTEND));
    let begin = Begin::now();
    crowd.start()?;
    let lines = crowd.containers().iter().map(|container| container.first_line(PATIENCE)).collect::<Result<Vec<_>, _>>()?;
    begin.was_steady()?;
    quiet(proxy);
    let (quotes, extends) = (proxy.count(CC_QUOTE) - quotes, proxy.count(CC_PCR_EXTEND) - extends);
    let mut applications = Vec::with_capacity(count);
    for line in lines {
        let portrait: Value = serde_json::from_str(&line).map_err(|_| BenchError::answer("the application", line, "one line of JSON"))?;
        secret.map_or(Ok(()), |secret| has_secret(&portrait, secret))?;
        let started = portrait["started"].as_u64();
        let started = started.ok_or_else(|| BenchError::answer("the application", portrait.to_string(), "when it started"))?;
        applications.push(begin.until(started)?);
    }
    if secret.is_some() {
        crowd.containers().iter().try_for_each(|container| was_released(site, node, container.id()))?;
    }
    applications.sort_unstable();
    Ok(Crowd { applications, quotes, extends })
}

/// Waits until nothing is extended any more.
fn quiet(proxy: &TpmProxy) {
    let (mut seen, mut since) = (proxy.count(CC_PCR_EXTEND), Instant::now());
    while since.elapsed() < QUIET {
        sleep(Duration::from_millis(50));
        let now = proxy.count(CC_PCR_EXTEND);
        if std::mem::replace(&mut seen, now) != now {
            since = Instant::now();
        }
    }
}

/// The nth row has the nth application of each crowd that ran.
fn show(without: &Crowd, with: &Crowd, path: &Path) -> Result<(), BenchError> {
    let mut samples = Samples::new([WITHOUT, WITH]);
    for (without, with) in without.applications.iter().zip(&with.applications) {
        samples.push([*without, *with]);
    }
    samples.print();
    let last = |name| samples.percentile(name, 100);
    println!("{:<34} | {:>9} | {:>9} | {:>9.2}", "ratio of the last, with to without", "", "", last(WITH) / last(WITHOUT));
    for (name, crowd) in [("bare", without), ("with the launcher", with)] {
        println!("{name:<34} | {:>3} TPM2_Quote | {:>4} TPM2_PCR_Extend", crowd.quotes, crowd.extends);
    }
    samples.save(path)
}
