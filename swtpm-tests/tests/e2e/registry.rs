//! What the registry remembers of a node: where its TPM stood, which must only go forward; whether its evidence holds; and what it may hold in memory.

use std::path::Path;

use podseal_protocol::Digest;
use podseal_protocol::pod_log::REGISTER;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::raw_tpm::Bank;
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest};
use podseal_swtpm_tests::site::{Counterfeit, Node, NodeOptions, Site, Workload};
use serde_json::Value;

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("cloned_tpm_forks", cloned_tpm_forks),
    ("reset_count_went_back", reset_count_went_back),
    ("rebooted_node_attests_again", rebooted_node_attests_again),
    ("rebooted_node_attests_again::by_a_release", first_release_of_a_boot_is_held),
    ("node_that_fails_gets_no_more", node_that_fails_gets_no_more),
    ("node_in_quarantine", node_in_quarantine),
    ("extended_behind_our_back_is_refused_until_a_reset", extended_behind_our_back_is_refused_until_a_reset),
];

type Failure = Box<dyn std::error::Error>;

const SECRET: &str = "/podseal/secrets/db";

fn shown(site: &Site, node: &str) -> Result<Value, Failure> {
    Ok(site.admin().podseal(&["node", "show", node])?)
}

/// What is known of a node, once it is in this state.
fn in_state(site: &Site, node: &Node, state: &str) -> Result<Value, Failure> {
    Ok(wait_for(&format!("the node is {state}"), PATIENCE, || {
        let shown = shown(site, node.name()).map_err(|error| error.to_string())?;
        if shown["state"] == state { Ok(shown) } else { Err(format!("{shown}; {}", node.attester().log())) }
    })?)
}

/// Names and versions of the secrets that a node may hold.
fn holdings(site: &Site, node: &str) -> Result<Vec<String>, Failure> {
    let shown = shown(site, node)?;
    let list = shown["holdings"].as_array().ok_or("holdings")?;
    Ok(list.iter().map(|holding| format!("{}@{}", holding["secret"].as_str().unwrap_or_default(), holding["version"])).collect())
}

fn is_served(site: &Site, node: &Node, workload: &Workload, value: Digest) -> Outcome {
    let portrait = workload.run(site, node)?.started()?;
    assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");
    Ok(())
}

/// Takes the power, and puts a copy of the TPM's state back.
fn put_back(node: &mut Node, copy: &Path) -> Outcome {
    node.power_off();
    Ok(node.machine().tpm().restore_state(copy)?)
}

/// The node is in quarantine by its own evidence, and says so: the check and the decision that tells of it. The check's name.
fn forked(site: &Site, node: &Node, workload: &Workload) -> Result<String, Failure> {
    let quarantined = in_state(site, node, "quarantined")?;
    let why = quarantined["quarantined"].as_str().ok_or("why")?;
    let (check, rest) = why.split_once(": ").ok_or_else(|| why.to_owned())?;
    let audit_id = rest.rsplit(' ').next().unwrap_or_default();
    let explained = site.explain(audit_id)?;
    assert_eq!((explained.result(), explained.reason()), ("refused", check), "{}", explained.told());
    let told = explained.check(check).ok_or("no such check")?;
    assert!(told.expected.contains("as it said at 20"), "which value, and since when: {}", explained.told());
    // From now on that is the reason.
    let refused = workload.run(site, node)?.refused()?;
    let explained = site.explain(&refused.audit_id)?;
    assert_eq!((explained.result(), explained.reason()), ("refused", "node.quarantine"), "{}", explained.told());
    assert!(explained.check("node.quarantine").is_some_and(|found| found.found.contains(check)), "{}", explained.told());
    Ok(check.to_owned())
}

/// Somebody copies the TPM's state, and later two machines are the node: the second one shows, whichever it is.
fn cloned_tpm_forks(fixtures: &Fixtures) -> Outcome {
    let (site, other) = fixtures.honest()?;
    let mut node = site.start_node(NodeOptions::new(site, "cloned"))?;
    let (workload, elsewhere) = (Workload::new(site, "cloned"), Workload::new(site, "not-cloned"));
    let (value, other_value) = (site.entitle(&workload, &node)?, site.entitle(&elsewhere, other)?);
    let copy = fixtures.folder("copy-of-cloned");
    node.power_off();
    node.machine().tpm().copy_state(&copy)?;

    node.reboot(site.boot())?;
    is_served(site, &node, &workload, value)?;
    is_served(site, &node, &workload, value)?;
    put_back(&mut node, &copy)?;
    node.reboot(site.boot())?;
    let check = forked(site, &node, &workload)?;
    assert!(["node.clock", "node.pod_log_length"].contains(&check.as_str()), "{check}");
    assert_eq!(holdings(site, "cloned")?, ["cloned/db@1", "cloned/db@1"], "what the other one may still hold");
    is_served(site, other, &elsewhere, other_value)?;

    site.admin().podseal(&["node", "release", "cloned"])?;
    is_served(site, &node, &workload, value)
}

fn reset_count_went_back(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = site.start_node(NodeOptions::new(site, "went-back"))?;
    let workload = Workload::new(site, "went-back");
    let value = site.entitle(&workload, &node)?;
    let copy = fixtures.folder("copy-of-went-back");
    node.power_off();
    node.machine().tpm().copy_state(&copy)?;
    for _ in 0..2 {
        node.reboot(site.boot())?;
        is_served(site, &node, &workload, value)?;
    }
    put_back(&mut node, &copy)?;
    node.reboot(site.boot())?;
    assert_eq!(forked(site, &node, &workload)?, "node.reset_count");
    Ok(())
}

/// Nobody asks it to: the verifier knows of the boot before any container comes, and that nothing is left of what the node held.
fn rebooted_node_attests_again(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = site.start_node(NodeOptions::new(site, "rebooted"))?;
    let workload = Workload::new(site, "rebooted");
    let value = site.entitle(&workload, &node)?;
    is_served(site, &node, &workload, value)?;
    let before = shown(site, "rebooted")?["tpm"]["reset_count"].as_u64().ok_or("no reset count")?;
    assert_eq!(holdings(site, "rebooted")?, ["rebooted/db@1"]);

    node.reboot(site.boot())?;
    let after = wait_for("the verifier hears of the boot", PATIENCE, || {
        let shown = shown(site, "rebooted").map_err(|error| error.to_string())?;
        if shown["tpm"]["reset_count"].as_u64() > Some(before) { Ok(shown) } else { Err(format!("{shown}; {}", node.attester().log())) }
    })?;
    assert_eq!((&after["state"], &after["holdings"]), (&"approved".into(), &serde_json::json!([])), "{after}");
    let logged = site.admin().podseal(&["log", "list", "--from", "0", "--count", "100000"])?;
    let attested = logged["entries"].as_array().into_iter().flatten().filter(|entry| entry["kind"] == "attested");
    let attested = attested.filter_map(|entry| site.explain(entry["audit_id"].as_str()?).ok()).filter(|e| e.0.node == "rebooted");
    assert_eq!(attested.count(), 2, "once for each boot");
    let rechecked = site.admin().run(&["audit", "recheck", "--all"], b"")?;
    assert_eq!(rechecked.code, Some(0), "{rechecked:?}");
    is_served(site, &node, &workload, value)
}

/// The first that the verifier hears of a boot is a container that asks: what it gets is held, and what was held before is not.
fn first_release_of_a_boot_is_held(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut fake = Counterfeit::enrol(site, "held-1", "held")?;
    for _ in 0..2 {
        fake.ask_one(&fake.claim()?)?.delivered(site)?;
        fake.ask_one(&fake.claim()?)?.delivered(site)?;
        assert_eq!(holdings(site, "held-1")?, ["held/db@1", "held/db@1"]);
        fake.reboot(site.boot())?;
    }
    Ok(())
}

/// How many files there are in a folder and below it.
fn files(folder: &Path) -> Result<usize, Failure> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        count += if path.is_dir() { files(&path)? } else { 1 };
    }
    Ok(count)
}

/// What its kernel is to be started with is another after a reboot: it fails by itself, gets nothing more, and what it may hold is listed.
fn node_that_fails_gets_no_more(fixtures: &Fixtures) -> Outcome {
    let site = &fixtures.own_site("failing")?;
    let config = "[limits]\nattest_s = 1\n".to_owned();
    let mut node = site.start_node(NodeOptions { config, ..NodeOptions::new(site, "failing") })?;
    let workload = Workload::new(site, "failing");
    let value = site.entitle(&workload, &node)?;
    is_served(site, &node, &workload, value)?;
    let held = shown(site, "failing")?;
    assert_eq!((&held["state"], &held["failing"]), (&"approved".into(), &Value::Null), "{held}");

    // The same boot, and a boot log that no longer tells it: nothing that it holds in memory is gone.
    let honest = std::fs::read(node.machine().event_log())?;
    std::fs::write(node.machine().event_log(), &honest[..honest.len() - 1])?;
    let failing = in_state(site, &node, "failing")?;
    assert_eq!(failing["failing"]["check"], "log.well_formed", "{failing}");
    assert_eq!(holdings(site, "failing")?, ["failing/db@1"]);
    let audit_id = failing["failing"]["audit_id"].as_str().ok_or("no audit id")?;
    let explained = site.explain(audit_id)?;
    assert_eq!((explained.result(), explained.reason()), ("refused", "log.well_formed"), "{}", explained.told());
    let refused = workload.run(site, &node)?.refused()?;
    assert_eq!(site.explain(&refused.audit_id)?.reason(), "log.well_formed");
    // It fails every second, and is told of once.
    let archived = files(&site.verifier().archive())?;
    let failed_again = || node.attester().log().matches("the node does not attest").count();
    let so_far = failed_again();
    wait_for("it fails again", PATIENCE, || if failed_again() > so_far { Ok(()) } else { Err(so_far.to_string()) })?;
    assert_eq!(shown(site, "failing")?["failing"]["audit_id"], audit_id);
    assert_eq!(files(&site.verifier().archive())?, archived, "what says nothing new is not kept");

    std::fs::write(node.machine().event_log(), honest)?;
    in_state(site, &node, "approved")?;
    is_served(site, &node, &workload, value)?;
    node.power_off();
    Ok(())
}

/// While the attester is away somebody extends the pod log's register. The attester shows it as it is, the verifier says which register, and a reset heals.
fn extended_behind_our_back_is_refused_until_a_reset(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = site.start_node(NodeOptions::new(site, "extended"))?;
    let workload = Workload::new(site, "extended");
    let value = site.entitle(&workload, &node)?;
    is_served(site, &node, &workload, value)?;

    let extend = |node: &Node| node.machine().tpm().client()?.pcr_extend(u32::from(REGISTER), &[(Bank::Sha256, vec![0xaa; 32])]);
    node.attester_mut().kill();
    extend(&node)?;
    node.restart_attester(&[])?;
    let failing = in_state(site, &node, "failing")?;
    let explained = site.explain(failing["failing"]["audit_id"].as_str().ok_or("no audit id")?)?;
    assert_eq!((explained.result(), explained.reason()), ("refused", "pod_log.register"), "{}", explained.told());
    assert!(explained.check("pod_log.register").is_some_and(|check| check.expected.contains("PCR 13")), "{}", explained.told());
    let refused = workload.run(site, &node)?.refused()?;
    assert_eq!((refused.code, refused.reason.as_str()), (77, "node.pod_log_disagrees"), "{refused:?}");
    assert!(refused.stderr.contains("systemctl reboot"), "{refused:?}");

    node.reboot(site.boot())?;
    is_served(site, &node, &workload, value)?;
    assert_eq!(shown(site, "extended")?["state"], "approved");
    Ok(())
}

/// An administrator's own quarantine, and what a node is told that nobody knows.
fn node_in_quarantine(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions::new(site, "suspect"))?;
    let workload = Workload::new(site, "suspect");
    let value = site.entitle(&workload, &node)?;
    is_served(site, &node, &workload, value)?;
    let held = site.admin().podseal(&["node", "quarantine", "suspect", "--why", "its disk was away for a day"])?;
    let of_node = shown(site, "suspect")?;
    assert_eq!(of_node["state"], "quarantined");
    assert!(of_node["quarantined"].as_str().is_some_and(|why| why.ends_with("its disk was away for a day")), "{of_node}");
    let refused = workload.run(site, &node)?.refused()?;
    assert_eq!((refused.code, refused.reason.as_str()), (77, "node.quarantine"), "{refused:?}");
    assert!(site.explain(&refused.audit_id)?.told().contains("its disk was away for a day"));
    let released = site.admin().podseal(&["node", "release", "suspect"])?;
    let why = site.admin().podseal(&["explain", held["change"]["audit_id"].as_str().ok_or("no audit id")?])?;
    assert!(why["workload"].as_str().is_some_and(|change| change.ends_with("its disk was away for a day")), "{why} {released}");
    assert_eq!(shown(site, "suspect")?["failing"], Value::Null, "what failed by the quarantine alone");
    is_served(site, &node, &workload, value)?;
    let nobody = site.admin().run(&["node", "quarantine", "nobody", "--why", "x"], b"")?;
    assert!(nobody.code == Some(5) && nobody.stderr.contains("podseal node list"), "{nobody:?}");
    Ok(())
}
