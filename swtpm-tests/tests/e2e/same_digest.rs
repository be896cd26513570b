//! The approved image by its digest, but started otherwise than the policy says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use podseal_swtpm_tests::binaries::static_program;
use podseal_swtpm_tests::pod::{Container, Pod};
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{Explained, Node, NodeOptions, Site, Workload};

use crate::fixtures::Fixtures;
use crate::refusals::{CONFIGURATION, answered, as_launcher, refused_by_attributes, refused_by_forbid, refused_on_the_node, without};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("same_digest_ld_preload", same_digest_ld_preload),
    ("same_digest_other_args", same_digest_other_args),
    ("same_digest_extra_mount", same_digest_extra_mount),
    ("privileged_pod", privileged_pod),
    ("host_namespaces", host_namespaces),
    ("launcher_replaced", launcher_replaced),
];

type Share = (&'static str, fn(Pod) -> Pod);
type Answered<T> = Result<T, Box<dyn std::error::Error>>;

/// Entitles the payment API of a namespace, and shows that it gets its password.
fn honest(site: &Site, node: &Node, namespace: &str) -> Answered<Workload> {
    let workload = Workload::new(site, namespace);
    let value = site.entitle(&workload, node)?;
    assert_eq!(file_digest(&workload.run(site, node)?.started()?, "/podseal/secrets/db"), Some(value));
    Ok(workload)
}

/// [`honest`], with a permit that leaves the pod's configuration to the baseline.
fn honest_by_baseline(site: &Site, node: &Node, namespace: &str) -> Answered<Workload> {
    let workload = honest(site, node, namespace)?;
    site.allow(&without(workload.permit(site, node)?, &CONFIGURATION))?;
    workload.run(site, node)?.started()?;
    Ok(workload)
}

fn explained(workload: &Workload, site: &Site, node: &Node) -> Answered<Explained> {
    Ok(site.explain(&workload.run(site, node)?.refused()?.audit_id)?)
}

fn same_digest_ld_preload(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let preload = |container: Container| container.env("LD_PRELOAD", "/tmp/libevil.so");
    let workload = honest(site, node, "preload")?.container(preload);
    let refused = explained(&workload, site, node)?;
    assert_eq!(refused.reason(), "policy.forbid", "{}", refused.told());
    let named = refused.told();
    assert!(named.contains("@loader-environment") && named.contains("principal.env_names"), "{named}");

    let unpinned = honest_by_baseline(site, node, "preload-unpinned")?.container(preload);
    refused_by_forbid(&explained(&unpinned, site, node)?, "loader-environment");
    Ok(())
}

fn same_digest_other_args(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let id = site.verifier().id();
    let workload = honest(site, node, "arguments")?;
    for words in [&["/payment-api", "--dump"][..], &["/podseal/launch", "--version"], &[]] {
        let other = workload.clone().command(&as_launcher("/podseal/launch", id, words));
        refused_by_attributes(&explained(&other, site, node)?, &["principal.args"]);
    }
    Ok(())
}

fn same_digest_extra_mount(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = honest(site, node, "mounts")?;
    let host = fixtures.folder("extra-mount");
    fs::create_dir_all(&host)?;
    for target in ["/etc/payment-api", "/podseal/secrets"] {
        let from = host.clone();
        let other = workload.clone().container(move |container| container.mount_writable(&from, target));
        refused_by_attributes(&explained(&other, site, node)?, &["principal.mounts"]);
    }
    let program = static_program("stranger");
    let other = workload.container(move |container| container.mount(&program, "/payment-api"));
    refused_by_attributes(&explained(&other, site, node)?, &["principal.mounts"]);
    assert_eq!(fs::read_dir(&host)?.count(), 0);
    Ok(())
}

fn privileged_pod(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = honest_by_baseline(site, node, "privileged")?;
    let privileged = workload.clone().pod(Pod::privileged).container(Container::privileged);
    refused_by_forbid(&explained(&privileged, site, node)?, "privileged");
    let as_good_as_root = workload.container(|container| container.capabilities(&["SYS_ADMIN"], &["ALL"]));
    refused_by_forbid(&explained(&as_good_as_root, site, node)?, "privileged");
    Ok(())
}

fn host_namespaces(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = honest_by_baseline(site, node, "host-namespaces")?;
    // The node's PID namespace is one that others share, too; here that is accepted.
    let accepted = ["secret", "put", "host-namespaces/db", "--accept", "host-trusted,test-root,shared-pid-namespace"];
    site.admin().run(&accepted, b"accepted")?.json()?;
    workload.run(site, node)?.started()?;
    let shares: [Share; 3] = [("host-pid", Pod::host_pid), ("host-network", Pod::host_network), ("host-ipc", Pod::host_ipc)];
    for (forbid, share) in shares {
        refused_by_forbid(&explained(&workload.clone().pod(share), site, node)?, forbid);
    }
    Ok(())
}

fn launcher_replaced(fixtures: &Fixtures) -> Outcome {
    let (site, id) = (fixtures.site()?, fixtures.site()?.verifier().id());
    let (_, shared) = fixtures.honest()?;
    let workload = Workload::new(site, "launcher").image(fixtures.stranger()?);
    let value = site.entitle(&workload, shared)?;
    assert_eq!(file_digest(&workload.run(site, shared)?.started()?, "/podseal/secrets/db"), Some(value));
    site.allow(&workload.permit(site, shared)?.without("principal.args"))?;

    let other_program = workload.clone().command(&as_launcher("/stranger", id, &["ask"])).run(site, shared)?;
    let answer = answered(&other_program.container)?;
    assert_eq!((&answer["refused"], &answer["audit_id"]), (&"peer.other_launcher".into(), &"".into()), "{answer}");

    let copy = workload.command(&as_launcher("/launch", id, &["/payment-api"])).run(site, shared)?;
    refused_on_the_node(&copy.refused()?, "peer.other_launcher");

    exchanged_on_the_node(site)
}

/// Root of a node puts another launcher in place, while its attester runs: one that works, but is not the one that the policy names.
fn exchanged_on_the_node(site: &Site) -> Outcome {
    let node = site.start_node(NodeOptions::new(site, "exchanged"))?;
    let workload = honest(site, &node, "exchanged")?;
    let launcher = node.published().join("launch");
    let (aside, mut bytes) = (node.machine().dir().join("pub/launch.new"), fs::read(&launcher)?);
    bytes.push(0);
    fs::write(&aside, bytes)?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o755))?;
    fs::rename(&aside, &launcher)?;
    refused_by_attributes(&explained(&workload, site, &node)?, &["principal.launcher"]);
    Ok(())
}
