//! Any pod: patched twice is patched once, whoever adds containers in between; what does not ask stays as it is.

use podseal_injector::admission;
use podseal_protocol::{Digest, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{fixtures::patched, injector::VERIFIER};

fn review(pod: &Value) -> Value {
    let request = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": { "group": "", "version": "v1", "kind": "Pod" }, "operation": "CREATE", "object": pod } });
    let verifier = Digest::from_hex(VERIFIER).expect("an identity");
    let reviewed = admission::review(request.to_string().as_bytes(), &verifier, &Limits::DEFAULT).expect("an answer");
    let answer: Value = serde_json::from_slice(&reviewed.body).expect("JSON");
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    json!({ "patch": answer["response"]["patch"], "pod": patched(&request, &answer) })
}

/// A container as an API server sends one: absent, null and empty lists.
fn container(name: String) -> impl Strategy<Value = Value> {
    let words =
        || prop_oneof![Just(json!(null)), Just(json!([])), prop::collection::vec("[a-z$()/-]{1,8}", 1..4).prop_map(|words| json!(words))];
    let mounts = prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!([{ "name": "data", "mountPath": "/data" }])),
        Just(json!([{ "name": "data", "mountPath": "/podsealed" }]))
    ];
    (words(), words(), mounts, any::<bool>()).prop_map(move |(command, args, mounts, sparse)| {
        let mut container = json!({ "name": name, "image": "a", "command": command, "args": args, "volumeMounts": mounts });
        if let (true, Some(members)) = (sparse, container.as_object_mut()) {
            members.retain(|_, value| !value.is_null());
        }
        container
    })
}

fn containers(prefix: &'static str, range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Value>> {
    range.prop_flat_map(move |count| (0..count).map(|at| container(format!("{prefix}{at}"))).collect::<Vec<_>>())
}

/// A pod, and who asks in it; `None` is everyone.
fn pod() -> impl Strategy<Value = (Value, Option<Vec<String>>)> {
    let volumes = prop_oneof![Just(json!(null)), Just(json!([])), Just(json!([{ "name": "data", "emptyDir": {} }]))];
    (containers("app", 1..4), containers("init", 0..3), volumes, any::<u8>(), any::<bool>()).prop_map(
        |(apps, inits, volumes, who, everyone)| {
            let names: Vec<_> = apps.iter().chain(&inits).map(|c| c["name"].as_str().expect("a name").to_owned()).collect();
            let chosen = |at: &usize| *at == usize::from(who) % names.len() || who & (1 << at) != 0;
            let asking: Vec<_> = (0..names.len()).filter(chosen).map(|at| names[at].clone()).collect();
            let mut annotations: serde_json::Map<_, _> =
                asking.iter().map(|name| (format!("podseal.dev/{name}.secrets"), json!("db=payments/db"))).collect();
            if everyone {
                annotations.insert("podseal.dev/secrets".to_owned(), json!("db=payments/db"));
            }
            let spec = json!({ "containers": apps, "initContainers": inits, "volumes": volumes });
            let metadata = json!({ "labels": { "podseal.dev/inject": "true" }, "annotations": annotations });
            (json!({ "metadata": metadata, "spec": spec }), (!everyone).then_some(asking))
        },
    )
}

fn all(pod: &Value) -> Vec<Value> {
    let list = |name| pod["spec"][name].as_array().cloned().unwrap_or_default();
    [list("containers"), list("initContainers")].concat()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().map(|words| words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()).unwrap_or_default()
}

/// What runs in the end, in the words of Kubernetes and of `podseal-launch --help`: whether the image's Entrypoint comes first, the words,
/// and whether the image's Cmd follows.
fn runs(container: &Value) -> (bool, Vec<String>, bool) {
    let (command, args) = (words(&container["command"]), words(&container["args"]));
    let line = [command.clone(), args.clone()].concat();
    if command.first().map(String::as_str) != Some("/podseal/launch") {
        return (command.is_empty(), line, command.is_empty() && args.is_empty());
    }
    assert_eq!(line[1..3], ["--verifier".to_owned(), VERIFIER.to_owned()]);
    let entrypoint = line[3] == "--image-entrypoint";
    let rest = line[if entrypoint { 4 } else { 3 }..].to_vec();
    assert_eq!(rest[0], "--");
    (entrypoint || rest.len() == 1, rest[1..].to_vec(), !entrypoint && rest.len() == 1)
}

proptest! {
    #[test]
    fn patched_twice_is_patched_once((pod, asking) in pod()) {
        let once = review(&pod);
        let twice = review(&once["pod"]);
        prop_assert!(twice["patch"].is_null());
        prop_assert_eq!(&once["pod"], &twice["pod"]);
        let ours = |c: &Value| asking.as_ref().is_none_or(|asking| asking.iter().any(|name| c["name"] == name.as_str()));
        for (before, after) in all(&pod).iter().zip(all(&once["pod"])) {
            if ours(before) {
                prop_assert_eq!(runs(before), runs(&after));
                prop_assert_eq!(&before["args"], &after["args"]);
                let mounts = after["volumeMounts"].as_array().expect("mounts");
                prop_assert_eq!(mounts.iter().filter(|mount| mount["name"] == "podseal").count(), 1);
            } else {
                prop_assert_eq!(before, &after);
            }
        }
        let volumes = once["pod"]["spec"]["volumes"].as_array().expect("volumes");
        prop_assert_eq!(volumes.iter().filter(|volume| volume["name"] == "podseal").count(), 1);
    }

    #[test]
    fn a_container_that_came_later_is_patched_alone((pod, asking) in pod(), late in container("mesh".to_owned())) {
        let mut meshed = review(&pod)["pod"].clone();
        let before = all(&meshed);
        meshed["spec"]["containers"].as_array_mut().expect("containers").push(late.clone());
        let again = review(&meshed);
        prop_assert_eq!(again["patch"].is_null(), asking.is_some());
        let containers = all(&again["pod"]);
        prop_assert!(before.iter().all(|container| containers.contains(container)));
        let patched = containers.iter().find(|container| container["name"] == "mesh").expect("it is there");
        prop_assert_eq!(runs(patched), runs(&late));
    }
}
