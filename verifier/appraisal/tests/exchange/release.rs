//! Authentic requests that policy does not allow.

use podseal_appraisal::{claims::RootKind, decision::Decision};
use podseal_protocol::{Digest, HostNamespaces};
use serde_json::json;

use super::{
    refused::{Attack, By, failing, refusal, refused, refused_world, released},
    world::{World, reviewed},
};

/// The attacks fail under the reviewed policy too, whose honest twin is released.
fn refused_by_policy(rules: &[&str], attacks: &[Attack]) {
    let honest = World::of_replicas(1);
    released(&honest.run());
    for (what, change) in attacks {
        let mut world = honest.clone();
        change(&mut world);
        refused_world(rules, By::RegisteredNode, what, &world);
    }
}

const NOT_PERMITTED: &[&str] = &["policy.permit", "policy.attribute"];

fn spec(world: &mut World) -> &mut serde_json::Value {
    &mut world.pods[0].spec
}

#[test]
fn secret_that_does_not_exist() {
    refused(&["secret.exists"], By::RegisteredNode, &[("one of two", |w| drop(w.secrets.pop())), ("none of them", |w| w.secrets.clear())]);
    refused(
        &["secret.exists", "policy.permit"],
        By::RegisteredNode,
        &[("another name", |w| w.secrets[0].name = "payments/db2".to_owned())],
    );
}

#[test]
fn no_policy_in_force() {
    refused(&["policy.in_force"], By::RegisteredNode, &[("none was applied", |w| w.policy = None)]);
}

#[test]
fn claim_without_evidence() {
    refused(
        &["policy.claims_appraised", "policy.permit"],
        By::RegisteredNode,
        &[
            ("the cluster's tokens name no nodes", |w| {
                w.cluster.as_mut().unwrap().tokens_name_nodes = false;
                drop(w.pods[0].claims["kubernetes.io"].as_object_mut().unwrap().remove("node"));
            }),
            ("no reference values", |w| w.references.clear()),
        ],
    );
}

#[test]
fn test_root_is_never_production() {
    let production = |world: &mut World| world.registered.as_mut().unwrap().root_kind = RootKind::Production;
    let unaccepted = |world: &mut World| world.secrets.iter_mut().for_each(|s| s.accepts = vec!["host-trusted".to_owned()]);
    let mut world = World::of_replicas(1);
    unaccepted(&mut world);
    refused_world(&["policy.forbid"], By::RegisteredNode, "a test root, not accepted", &world);
    let claimed = world.run().explanation(0).claims;
    assert_eq!(claimed["root"], "test");
    production(&mut world);
    released(&world.run());
    // A policy that wants production gets it from a production root and from nothing else.
    let mut wanting = World::honest();
    wanting.policy = wanting.policy.map(|text| text.replace("context.root == \"test\"", "context.root == \"production\""));
    refused_world(NOT_PERMITTED, By::RegisteredNode, "a test root where production is wanted", &wanting);
    production(&mut wanting);
    released(&wanting.run());
}

#[test]
fn host_trusted_is_asked_of_the_owner() {
    refused_by_policy(
        &["policy.forbid"],
        &[("one of the two owners does not accept", |w| w.secrets[1].accepts = vec!["test-root".to_owned()])],
    );
}

#[test]
fn privileged_pod() {
    refused_by_policy(
        &["policy.forbid"],
        &[
            ("the runtime says so", |w| w.pods[0].containers[0].privileged = true),
            ("a capability as good as root", |w| spec(w)["process"]["capabilities"]["bounding"] = json!(["CAP_SYS_ADMIN"])),
        ],
    );
}

#[test]
fn host_namespaces() {
    refused_by_policy(
        &["policy.forbid"],
        &[
            ("network", |w| w.pods[0].host = HostNamespaces { network: true, ..HostNamespaces::default() }),
            ("IPC", |w| w.pods[0].host = HostNamespaces { ipc: true, ..HostNamespaces::default() }),
            ("PID", |w| spec(w)["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid")),
        ],
    );
}

#[test]
fn shared_pid_namespace() {
    refused_by_policy(
        &["policy.forbid"],
        &[("joins the sandbox's", |w| spec(w)["linux"]["namespaces"][0]["path"] = "/proc/4711/ns/pid".into())],
    );
}

#[test]
fn same_digest_ld_preload() {
    refused_by_policy(
        &["policy.forbid", "policy.permit", "policy.attribute"],
        &[("LD_PRELOAD", |w| spec(w)["process"]["env"].as_array_mut().unwrap().push("LD_PRELOAD=/tmp/x.so".into()))],
    );
}

#[test]
fn same_digest_other_args() {
    refused_by_policy(
        NOT_PERMITTED,
        &[
            ("another program", |w| spec(w)["process"]["args"][4] = "/bin/sh".into()),
            ("one more", |w| spec(w)["process"]["args"].as_array_mut().unwrap().push("--debug".into())),
        ],
    );
}

#[test]
fn same_digest_extra_mount() {
    refused_by_policy(
        NOT_PERMITTED,
        &[
            ("a host path", |w| {
                let mount = json!({"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "rw"]});
                spec(w)["mounts"].as_array_mut().unwrap().push(mount);
            }),
            ("another pod's volume in the place of this pod's", |w| {
                let last = spec(w)["mounts"].as_array().unwrap().len() - 1;
                spec(w)["mounts"][last]["source"] = "/var/lib/kubelet/pods/other/volumes/kubernetes.io~empty-dir/tmp".into();
            }),
        ],
    );
}

#[test]
fn other_image_same_name() {
    refused_by_policy(
        NOT_PERMITTED,
        &[("leaf and pod set agree on another manifest", |w| {
            let other = Digest::of(b"payment-api manifest, rebuilt");
            w.pods[0].leaf.image_manifest = other;
            w.pods[0].containers[0].image_manifest = other;
        })],
    );
}

#[test]
fn launcher_replaced() {
    refused_by_policy(NOT_PERMITTED, &[("another launcher", |w| w.pods[0].leaf.launcher = Digest::of(b"another launcher"))]);
}

#[test]
fn other_service_account() {
    refused_by_policy(
        NOT_PERMITTED,
        &[("the pod's true one, and it is another", |w| {
            let pod = &mut w.pods[0];
            pod.leaf.service_account = "other".to_owned();
            pod.claims["kubernetes.io"]["serviceaccount"]["name"] = "other".into();
            pod.claims["sub"] = "system:serviceaccount:payments:other".into();
        })],
    );
}

#[test]
fn sidecar_of_same_pod() {
    refused_by_policy(
        NOT_PERMITTED,
        &[("the proxy asks", |w| {
            let pod = &mut w.pods[0];
            pod.leaf.container = "proxy".to_owned();
            pod.containers[0].name = "proxy".to_owned();
        })],
    );
}

/// All secrets that a leaf asks for, or none: a permit for one of them releases nothing.
#[test]
fn annotation_cannot_widen() {
    let mut world = World::of_replicas(1);
    let text = reviewed(&world.verifier);
    let (first, _) = text.split_once("@id(\"payments-api-key\")").unwrap();
    world.policy = Some(first.to_owned());
    refused_world(&["policy.permit"], By::RegisteredNode, "no permit names payments/api-key", &world);
    world.pods[0].leaf.secrets.pop();
    world.secrets.pop();
    released(&world.run());
}

#[test]
fn errors_carry_no_expected_values() {
    let mut world = World::honest();
    world.pods[0].leaf.image_manifest = Digest::of(b"another");
    world.pods[0].containers[0].image_manifest = Digest::of(b"another");
    world.measured[0].data = b"another firmware".to_vec();
    let run = world.run();
    let refusal = refusal(&run, 0).unwrap();
    assert!(failing(refusal, podseal_appraisal::check::Verdict::Fail).contains("reference.firmware"));
    let expected: Vec<_> = refusal.checks().iter().map(|check| check.expected.as_ref()).collect();
    assert!(expected.iter().any(|text| text.contains("firmware 4.2")), "the operator sees it");
    super::refused::answer_tells_nothing("firmware", refusal);
    assert!(matches!(run.decisions[0], Decision::Refuse(_)));
}
