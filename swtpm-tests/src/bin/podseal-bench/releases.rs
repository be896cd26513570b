//! Releases per second: simulated nodes that send what they have over connections that they keep, as fast as the verifier answers.
//!
//! Their evidence is honest, signed by a software TPM each, and made before the clock starts, within a challenge's lifetime. So what is timed is the
//! verifier, and the little that it takes to send.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use podseal_protocol::exchange::Outcome;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::site::{Claim, Counterfeit, Site};

use crate::clock::nanoseconds;
use crate::processors::{Pinned, ran};
use crate::samples::Samples;

/// Nodes, each with one exchange at a time on its way, as an attester has.
const NODES: usize = 8;
/// Exchanges that each of them has ready, for each size of batch.
const EXCHANGES: usize = 25;
/// No exchange begins later than this.
const LONGEST: Duration = Duration::from_secs(15);
const EXCHANGE: &str = "exchange";

/// Sends batches of 1 and of 32 leaves, and prints what came of it.
///
/// # Errors
/// Also where a leaf is refused.
pub(crate) fn measure(site: &Site, folder: &Path) -> Result<(), BenchError> {
    let enrol = |number| Counterfeit::enrol(site, &format!("node-load-{number}"), &format!("load-{number}"));
    let nodes: Vec<Counterfeit> = (0..NODES).map(enrol).collect::<Result<_, _>>()?;
    println!("\nReleases by gRPC, {NODES} simulated nodes; verifier and senders on a processor each; milliseconds");
    for leaves in [1, 32] {
        // Images are unpacked, logs replayed.
        send(site, &prepared(&nodes, leaves, 1)?)?;
        let ready = prepared(&nodes, leaves, EXCHANGES)?;
        let verifier = site.verifier().daemon().pid();
        let (_verifier, _senders) = (Pinned::to(verifier, 0)?, Pinned::to(std::process::id(), 1)?);
        let (before, start) = (ran(verifier)?, Instant::now());
        let taken = send(site, &ready)?;
        let (elapsed, ran) = (start.elapsed().as_secs_f64(), ran(verifier)?.saturating_sub(before));
        let releases = (taken.len() * leaves) as f64;
        let mut samples = Samples::new([EXCHANGE]);
        taken.iter().for_each(|one| samples.push([*one]));
        println!(
            "batches of {leaves}: {} exchanges, {releases} releases in {elapsed:.2} s: {:.0} a second",
            taken.len(),
            releases / elapsed
        );
        println!("the verifier ran {ran} ms, {:.2} for a release", ran as f64 / releases);
        samples.print();
        samples.save(&folder.join(format!("releases-{leaves}.csv")))?;
    }
    Ok(())
}

/// So many exchanges of each node, in the order in which its TPM signed them.
fn prepared(nodes: &[Counterfeit], leaves: usize, count: usize) -> Result<Vec<Vec<Vec<u8>>>, BenchError> {
    let one = |node: &Counterfeit| {
        let claims = (0..leaves).map(|_| node.claim()).collect::<Result<Vec<_>, _>>()?;
        Ok(node.collect(node.plan(&claims.iter().collect::<Vec<&Claim>>())?)?.encode())
    };
    nodes.iter().map(|node| (0..count).map(|_| one(node)).collect()).collect()
}

/// Sends all of it, each node over a connection of its own. How long each exchange took, in nanoseconds.
fn send(site: &Site, ready: &[Vec<Vec<u8>>]) -> Result<Vec<u64>, BenchError> {
    let start = Instant::now();
    let node = |exchanges: &[Vec<u8>]| {
        let channel = site.admin().channel(None)?;
        let mut taken = Vec::with_capacity(exchanges.len());
        for exchange in exchanges.iter().take_while(|_| start.elapsed() < LONGEST) {
            let begin = Instant::now();
            let reply = Counterfeit::send_over(channel.clone(), exchange.clone())?;
            taken.push(nanoseconds(begin.elapsed()));
            let refused = reply.outcomes.iter().find(|(_, outcome)| !matches!(outcome, Outcome::Delivered(_)));
            if let Some((_, outcome)) = refused {
                return Err(BenchError::answer("the verifier", format!("{outcome:?}"), "a delivery"));
            }
        }
        Ok(taken)
    };
    thread::scope(|scope| {
        let sending: Vec<_> = ready.iter().map(|exchanges| scope.spawn(|| node(exchanges))).collect();
        let panicked = |_| Err(BenchError::answer("a thread that sends", "a panic", "answers"));
        let taken: Result<Vec<Vec<u64>>, _> = sending.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect();
        taken.map(|taken| taken.concat())
    })
}
