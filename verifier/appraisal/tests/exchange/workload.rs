//! Runtime specs and pod sets that say nothing certain about the container that asks.

use podseal_protocol::Digest;
use serde_json::json;

use super::{
    refused::{By, refused},
    world::World,
};

fn spec(world: &mut World) -> &mut serde_json::Value {
    &mut world.pods[0].spec
}

#[test]
fn duplicate_keys() {
    refused(
        &["spec.parses"],
        By::RegisteredNode,
        &[
            ("process twice", |w| {
                w.pods[0].spec_bytes = Some(spec(w).to_string().replacen("\"process\":{", "\"process\":{},\"process\":{", 1).into_bytes());
            }),
            ("no JSON", |w| w.pods[0].spec_bytes = Some(b"spec".to_vec())),
        ],
    );
}

#[test]
fn spec_without_what_claims_need() {
    refused(
        &["spec.complete"],
        By::RegisteredNode,
        &[
            ("no user", |w| drop(spec(w)["process"].as_object_mut().unwrap().remove("user"))),
            ("no namespaces", |w| drop(spec(w)["linux"].as_object_mut().unwrap().remove("namespaces"))),
            ("no arguments", |w| spec(w)["process"]["args"] = json!([])),
        ],
    );
}

#[test]
fn environment_that_readers_disagree_about() {
    refused(
        &["spec.env_named"],
        By::RegisteredNode,
        &[("an entry without =", |w| spec(w)["process"]["env"].as_array_mut().unwrap().push("LONELY".into()))],
    );
    refused(
        &["spec.env_unique"],
        By::RegisteredNode,
        &[("PATH twice", |w| spec(w)["process"]["env"].as_array_mut().unwrap().push("PATH=/tmp".into()))],
    );
}

#[test]
fn launcher_trusts_another_verifier() {
    refused(
        &["spec.verifier_pinned"],
        By::RegisteredNode,
        &[
            ("another id", |w| spec(w)["process"]["args"][2] = Digest::of(b"another").to_string().into()),
            ("none", |w| spec(w)["process"]["args"] = json!(["/usr/local/bin/payment-api"])),
            ("a second one", |w| {
                let args = spec(w)["process"]["args"].as_array_mut().unwrap();
                args.insert(3, "--verifier=another".into());
            }),
        ],
    );
}

#[test]
fn pod_set_of_something_else() {
    refused(&["podset.parses"], By::RegisteredNode, &[("no pod set", |w| w.pods[0].pod_set_bytes = Some(b"pod set".to_vec()))]);
    refused(&["podset.contains_container"], By::RegisteredNode, &[("without who asks", |w| drop(w.pods[0].containers.remove(0)))]);
    refused(
        &["podset.agrees"],
        By::RegisteredNode,
        &[
            ("another image", |w| w.pods[0].containers[0].image_manifest = Digest::of(b"another")),
            ("another configuration", |w| w.pods[0].containers[0].image_config = Digest::of(b"another")),
            ("another name", |w| w.pods[0].containers[0].name = "proxy".to_owned()),
        ],
    );
}
