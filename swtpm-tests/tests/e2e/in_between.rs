//! What changes about a pod while it asks.

use std::process::Command;

use podseal_swtpm_tests::error::{run, wait_for};
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest};
use podseal_swtpm_tests::site::{NodeOptions, Workload};

use crate::fixtures::Fixtures;
use crate::init_only::Halted;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] =
    &[("container_joins_the_pod_in_between", container_joins_the_pod_in_between), ("sandbox_gone_in_between", sandbox_gone_in_between)];

const SECRET: &str = "/podseal/secrets/db";

/// Another container joins the pod while the TPM signs: what was released is not handed over, and the pod that now is gets nothing. Here
/// no pod log tells of it.
fn container_joins_the_pod_in_between(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions { proxied: true, pod_log: false, ..NodeOptions::new(site, "joined") })?;
    let workload = Workload::new(site, "joined");
    let value = site.entitle(&workload, &node)?;
    assert_eq!(file_digest(&workload.run(site, &node)?.started()?, SECRET), Some(value));

    let proxy = node.machine().proxy().ok_or("no proxy")?;
    let before = proxy.seen().len();
    let halted = Halted::new(node.machine().tpm().pid())?;
    let asking = workload.run(site, &node)?;
    wait_for("the TPM is asked", PATIENCE, || if proxy.seen().len() > before { Ok(()) } else { Err(format!("{before} commands")) })?;
    let mut late = workload.clone().command(&["/payment-api"]);
    late.container = "late".into();
    let _late = late.start_in(site, &node, &asking.pod)?;
    drop(halted);

    let refused = asking.refused()?;
    assert_eq!(refused.code, 77, "{refused:?}");
    assert!(site.explain(&refused.audit_id)?.told().contains("principal.siblings"), "{refused:?}");
    assert!(node.attester().log().contains("\"reason\":\"pod.changed\""), "{}", node.attester().log());
    assert_eq!(node.told_of(asking.container.id()).iter().filter(|line| line["fields"]["message"] == "delivered").count(), 0);
    Ok(())
}

/// The sandbox's own process dies before its container is identified.
fn sandbox_gone_in_between(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions::new(site, "sandless"))?;
    let workload = Workload::new(site, "sandless");
    let value = site.entitle(&workload, &node)?;
    assert_eq!(file_digest(&workload.run(site, &node)?.started()?, SECRET), Some(value));

    let halted = Halted::new(node.attester().pid())?;
    let asking = workload.run(site, &node)?;
    let mut ctr = Command::new("ctr");
    ctr.arg("--address").arg(node.runtime().socket()).args(["--namespace", "k8s.io", "tasks"]);
    run(ctr.args(["kill", "--signal", "SIGKILL", asking.pod.id()]))?;
    // The runtime hears of the end by an event of its own, a moment after the process is gone.
    wait_for("the runtime says that the sandbox has ended", PATIENCE, || match node.runtime().cri().sandbox_is_ready(asking.pod.id()) {
        Ok(false) => Ok(()),
        Ok(true) => Err("ready".to_owned()),
        Err(error) => Err(error.to_string()),
    })?;
    drop(halted);

    let refused = asking.refused()?;
    assert_eq!((refused.code, refused.reason.as_str()), (77, "pod.not_ready"), "{refused:?}");
    Ok(())
}
