//! A TPM that hangs or goes away: pods wait, and are served as soon as it answers again, without a restart of the attester.

use podseal_protocol::Digest;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest};
use podseal_swtpm_tests::site::{Node, NodeOptions, Workload};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("tpm_hangs", tpm_hangs), ("tpm_gone", tpm_gone)];

type Failure = Box<dyn std::error::Error>;

/// Waits until the attester's log has these words, as often as that.
fn told(node: &Node, words: &str, times: usize) -> Result<(), Failure> {
    Ok(wait_for(&format!("the attester says {words:?}"), PATIENCE, || {
        let log = node.attester().log();
        if log.matches(words).count() >= times { Ok(()) } else { Err(log) }
    })?)
}

fn has_its_secret(portrait: &serde_json::Value, value: Digest) {
    assert_eq!(file_digest(portrait, "/podseal/secrets/db"), Some(value), "{portrait}");
}

/// The command in flight is never answered, so only a new connection helps: the deadline ends the old one.
fn tpm_hangs(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let config = "[limits]\ntpm_ms = 1000\n".to_owned();
    let node = site.start_node(NodeOptions { proxied: true, config, ..NodeOptions::new(site, "tpm-hangs") })?;
    let workload = Workload::new(site, "tpm-hangs");
    let value = site.entitle(&workload, &node)?;
    has_its_secret(&workload.run(site, &node)?.started()?, value);

    let proxy = node.machine().proxy().expect("the node was asked for with one");
    proxy.hang(true);
    let waiting = workload.run(site, &node)?;
    told(&node, "the TPM does not answer", 2)?;
    proxy.hang(false);
    has_its_secret(&waiting.started()?, value);
    has_its_secret(&workload.run(site, &node)?.started()?, value);
    Ok(())
}

fn tpm_gone(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = site.start_node(NodeOptions::new(site, "tpm-gone"))?;
    let workload = Workload::new(site, "tpm-gone");
    let value = site.entitle(&workload, &node)?;
    has_its_secret(&workload.run(site, &node)?.started()?, value);

    node.machine_mut().power_off();
    {
        let waiting = workload.run(site, &node)?;
        told(&node, "start it, or correct tpm.tcti", 1)?;
        drop(waiting);
    }
    // It comes back without what was extended: as after a reset that the machine did not go through.
    node.machine_mut().reboot_tpm_alone(site.boot())?;
    let refused = workload.run(site, &node)?.refused()?;
    assert_eq!(refused.reason, "node.pod_log_disagrees", "{refused:?}");
    assert!(refused.stderr.contains("systemctl reboot"), "{refused:?}");
    node.reboot(site.boot())?;
    has_its_secret(&workload.run(site, &node)?.started()?, value);
    Ok(())
}
