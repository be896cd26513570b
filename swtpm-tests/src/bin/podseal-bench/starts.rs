//! From the runtime's StartContainer, and from the launcher's own start, to the application's first statement.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use podseal_protocol::Digest;
use podseal_swtpm_tests::error::{BenchError, wait_for};
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest};
use podseal_swtpm_tests::site::{Node, Site, Workload};
use serde_json::Value;

use crate::clock::Begin;
use crate::opens::Opens;
use crate::samples::Samples;

const NAMESPACE: &str = "bench";
/// Rounds before the first that counts: images are unpacked, connections made, logs replayed.
const WARM_UP: usize = 3;
/// Between a container's creation and its start: what making the sandbox stirred up comes to rest.
const SETTLE: Duration = Duration::from_millis(200);

const WITHOUT: &str = "StartContainer → application, bare";
const WITH: &str = "the same with the launcher";
const DIFFERENCE: &str = "difference of the two";
const LAUNCHER: &str = "launcher start → application";
/// What the product aims at, in milliseconds, on a software TPM. No gate: other machines have other cores and disks.
const AIM: f64 = 50.0;

/// What was measured. Every launcher in it got its secret.
pub(crate) struct Starts {
    samples: Samples<4>,
}

/// One container that was started.
struct Started {
    id: String,
    portrait: Value,
    begin: Begin,
    application: u64,
}

/// Starts `rounds` pods with the launcher and as many without, in turn.
///
/// # Errors
/// Also where an application did not find the secret that was put, or the verifier's own account of one is not that it was released.
pub(crate) fn measure(site: &Site, node: &Node, rounds: usize) -> Result<Starts, BenchError> {
    let launched = Workload::new(site, NAMESPACE);
    let bare = launched.clone().command(&["/payment-api"]);
    let secret = site.entitle(&launched, node)?;
    let opens = Opens::watch(&node.published().join("launch"))?;
    let mut samples = Samples::new([WITHOUT, WITH, DIFFERENCE, LAUNCHER]);
    let mut ids = Vec::new();
    for round in 0..WARM_UP + rounds {
        let without = start(site, node, &bare)?;
        opens.forget();
        let with = start(site, node, &launched)?;
        let launcher = with.begin.until(opens.first()?)?;
        has_secret(&with.portrait, secret)?;
        ids.push(with.id);
        if round >= WARM_UP {
            let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            let (without, with, launcher) = (signed(without.application), signed(with.application), signed(launcher));
            samples.push_signed([without, with, with - without, with - launcher]);
        }
    }
    ids.iter().try_for_each(|id| was_released(site, node, id))?;
    Ok(Starts { samples })
}

/// Starts one container in a sandbox of its own; both are gone when this returns.
fn start(site: &Site, node: &Node, workload: &Workload) -> Result<Started, BenchError> {
    let pod = workload.sandbox(node)?;
    let container = pod.create(workload.container_in(site, node, pod.uid())?)?;
    sleep(SETTLE);
    let begin = Begin::now();
    container.start()?;
    let line = container.first_line(PATIENCE)?;
    begin.was_steady()?;
    let portrait: Value = serde_json::from_str(&line).map_err(|_| BenchError::answer("the application", line, "one line of JSON"))?;
    let started = portrait["started"].as_u64();
    let started = started.ok_or_else(|| BenchError::answer("the application", portrait.to_string(), "when it started"))?;
    Ok(Started { id: container.id().to_owned(), application: begin.until(started)?, begin, portrait })
}

/// The application found the secret that was put.
pub(crate) fn has_secret(portrait: &Value, secret: Digest) -> Result<(), BenchError> {
    let found = file_digest(portrait, "/podseal/secrets/db");
    if found == Some(secret) { Ok(()) } else { Err(BenchError::answer("the application", portrait.to_string(), "the secret that was put")) }
}

/// The verifier's own account of what the attester delivered to a container.
pub(crate) fn was_released(site: &Site, node: &Node, container: &str) -> Result<(), BenchError> {
    let audit_id = wait_for("the attester logs the delivery", PATIENCE, || {
        let told = node.told_of(container);
        let delivered = told.iter().find(|line| line["fields"]["message"] == "delivered");
        delivered.and_then(|line| line["fields"]["audit_id"].as_str()).map(str::to_owned).ok_or_else(|| format!("{told:?}"))
    })?;
    let explained = site.explain(&audit_id)?;
    let found = || format!("{} for {audit_id}: {}", explained.result(), explained.told());
    if explained.result() == "released" { Ok(()) } else { Err(BenchError::answer("the verifier", found(), "a release")) }
}

impl Starts {
    /// The launcher's own part, at this percentile, in milliseconds.
    pub(crate) fn launcher(&self, percent: usize) -> f64 {
        self.samples.percentile(LAUNCHER, percent)
    }

    pub(crate) fn print_and_save(&self, folder: &Path) -> Result<(), BenchError> {
        self.samples.print();
        let (with, without) = (self.samples.percentile(WITH, 50), self.samples.percentile(WITHOUT, 50));
        println!("{:<34} | {:>9} | {:>9.2} |", "ratio, with to without", "", with / without);
        let word = if self.launcher(50) <= AIM { "within" } else { "above" };
        println!("launcher start → application, p50: {word} the aim of {AIM} ms");
        self.samples.save(&folder.join("starts.csv"))
    }
}
