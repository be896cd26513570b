//! A container runtime that hangs or goes away while a container waits: it waits on, and is served when the runtime is back, without a restart of the
//! attester.

use podseal_protocol::Digest;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest};
use podseal_swtpm_tests::site::{Launched, Node, NodeOptions, Site, Workload};

use crate::fixtures::Fixtures;
use crate::init_only::Halted;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("runtime_gone", runtime_gone), ("runtime_slow", runtime_slow)];

type Failure = libtest_mimic::Failed;

const SECRET: &str = "/podseal/secrets/db";

struct Waits {
    node: Node,
    workload: Workload,
    value: Digest,
}

impl Waits {
    fn on(site: &Site, name: &str) -> Result<Self, Failure> {
        let config = "[limits]\nidentify_ms = 500\n".to_owned();
        let node = site.start_node(NodeOptions { config, ..NodeOptions::new(site, name) })?;
        let workload = Workload::new(site, name);
        let value = site.entitle(&workload, &node)?;
        let waits = Self { node, workload, value };
        waits.is_served(&waits.workload.run(site, &waits.node)?)?;
        Ok(waits)
    }

    /// A container that asks before the attester can look.
    fn asking<'a>(&'a self, site: &'a Site) -> Result<(Launched<'a>, Halted), Failure> {
        let attester = Halted::new(self.node.attester().pid())?;
        Ok((self.workload.run(site, &self.node)?, attester))
    }

    /// Waits until the attester says that this has to be asked again.
    fn put_off(&self) -> Outcome {
        Ok(wait_for("the attester puts the container off", PATIENCE, || {
            let log = self.node.attester().log();
            let told = log.lines().any(|line| {
                line.contains("\"retry\":true") && ["runtime.away", "node.pod_log_behind"].iter().any(|code| line.contains(code))
            });
            if told { Ok(()) } else { Err(log) }
        })?)
    }

    fn is_served(&self, run: &Launched<'_>) -> Outcome {
        let portrait = run.started()?;
        assert_eq!(file_digest(&portrait, SECRET), Some(self.value), "{portrait}");
        Ok(())
    }
}

fn runtime_gone(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let waits = Waits::on(site, "runtime-gone")?;
    let (asking, attester) = waits.asking(site)?;
    waits.node.runtime().restart_while(|| {
        drop(attester);
        waits.put_off()
    })??;
    waits.is_served(&asking)?;
    waits.is_served(&waits.workload.run(site, &waits.node)?)
}

fn runtime_slow(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let waits = Waits::on(site, "runtime-slow")?;
    let (asking, attester) = waits.asking(site)?;
    let runtime = Halted::new(waits.node.runtime().pid())?;
    drop(attester);
    waits.put_off()?;
    drop(runtime);
    waits.is_served(&asking)?;
    waits.is_served(&waits.workload.run(site, &waits.node)?)
}
