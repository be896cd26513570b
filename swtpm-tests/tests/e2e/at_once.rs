//! Many containers that start at the same moment, on a node whose TPM is as slow as hardware.

use std::time::Duration;

use podseal_swtpm_tests::raw_tpm::CC_QUOTE;
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{NodeOptions, Workload};
use serde_json::Value;

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("many_containers_few_quotes", many_containers_few_quotes)];

const MANY: usize = 16;
const FEW: usize = 4;
const SIGNING: Duration = Duration::from_millis(300);
/// Nothing is to be said about how long it takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn many_containers_few_quotes(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions { proxied: true, ..NodeOptions::new(site, "at-once") })?;
    let workload = Workload::new(site, "at-once");
    let value = site.entitle(&workload, &node)?;
    workload.run(site, &node)?.started()?;

    let proxy = node.machine().proxy().expect("the node was asked for with one");
    proxy.slow(SIGNING);
    let crowd = workload.crowd(site, &node, MANY)?;
    let before = proxy.count(CC_QUOTE);
    crowd.start()?;
    for container in crowd.containers() {
        let portrait: Value = serde_json::from_str(&container.first_line(PATIENCE)?)?;
        assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(value), "{portrait}");
    }
    let quotes = proxy.count(CC_QUOTE) - before;
    assert!((1..=FEW).contains(&quotes), "{quotes} quotes for {MANY} containers");
    Ok(())
}
