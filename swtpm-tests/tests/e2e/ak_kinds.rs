//! A node's attestation key is RSA or ECC, as its configuration says when it enrols; either gets the node its secrets.

use std::fs;
use std::process::Command;

use podseal_node_attester::config::AkKind;
use podseal_protocol::Digest;
use podseal_swtpm_tests::binaries::program;
use podseal_swtpm_tests::error::run;
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{Node, NodeOptions, Site, Workload};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("ecc_ak_gets_its_secret", ecc_ak_gets_its_secret),
    ("rsa_ak_gets_its_secret", rsa_ak_gets_its_secret),
    ("ak_of_another_kind_than_configured_is_kept", ak_of_another_kind_than_configured_is_kept),
];

type Failure = Box<dyn std::error::Error>;

fn start(site: &Site, name: &str, kind: AkKind) -> Result<(Node, Workload, Digest), Failure> {
    let node = site.start_node(NodeOptions { ak: Some(kind), ..NodeOptions::new(site, name) })?;
    let workload = Workload::new(site, name);
    let value = site.entitle(&workload, &node)?;
    Ok((node, workload, value))
}

fn has_its_secret(site: &Site, node: &Node, workload: &Workload, value: Digest) -> Outcome {
    let portrait = workload.run(site, node)?.started()?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(value), "{portrait}");
    Ok(())
}

/// The kept key has this type at the beginning of its public area, and name algorithm SHA-256 (TPM 2.0 Part 2, section 12.2.4).
fn holds(node: &Node, kind: AkKind) -> Outcome {
    let head = match kind {
        AkKind::Rsa => [0x00, 0x01, 0x00, 0x0b],
        AkKind::Ecc => [0x00, 0x23, 0x00, 0x0b],
    };
    let file = fs::read(node.machine().ak_state())?;
    assert!(file.windows(4).any(|at| at == head), "the key is no {} one", kind.as_str());
    Ok(())
}

fn gets_its_secret(fixtures: &Fixtures, name: &str, kind: AkKind) -> Outcome {
    let site = fixtures.site()?;
    let (mut node, workload, value) = start(site, name, kind)?;
    holds(&node, kind)?;
    has_its_secret(site, &node, &workload, value)?;
    node.machine_mut().reboot(site.boot())?;
    node.restart_attester(&[])?;
    has_its_secret(site, &node, &workload, value)
}

fn ecc_ak_gets_its_secret(fixtures: &Fixtures) -> Outcome {
    gets_its_secret(fixtures, "ak-ecc", AkKind::Ecc)
}

fn rsa_ak_gets_its_secret(fixtures: &Fixtures) -> Outcome {
    gets_its_secret(fixtures, "ak-rsa", AkKind::Rsa)
}

/// Whoever changes the word under a node that is enrolled is told so at each start, and the node goes on; only enrolling is refused.
fn ak_of_another_kind_than_configured_is_kept(fixtures: &Fixtures) -> Outcome {
    const REMEDY: &str =
        "set tpm.ak to rsa; only where this node is not enrolled yet, remove the file and run `podseal-node-attester enroll`";
    let site = fixtures.site()?;
    let (mut node, workload, value) = start(site, "ak-kept", AkKind::Rsa)?;
    assert!(!node.attester().log().contains("tpm.ak"), "the key is as configured");
    let said = fs::read_to_string(node.config())?;
    fs::write(node.config(), said.replace("ak = \"rsa\"", "ak = \"ecc\""))?;
    node.restart_attester(&[])?;
    has_its_secret(site, &node, &workload, value)?;
    assert_eq!(node.attester().log().matches(REMEDY).count(), 1, "{}", node.attester().log());
    holds(&node, AkKind::Rsa)?;

    let error =
        run(Command::new(program("podseal-node-attester")?).args(["enroll", "--config"]).arg(node.config())).expect_err("another kind");
    assert!(error.to_string().contains(REMEDY), "{error}");
    holds(&node, AkKind::Rsa)
}
