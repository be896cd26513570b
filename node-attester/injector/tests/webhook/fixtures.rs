//! Each folder of `tests/fixtures` through `podseal-injector review`: a request, and the pod that comes of it or the refusal.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::injector::{VERIFIER, run, text};

/// The object of a request, and a response's patch applied to it.
pub(crate) fn patched(request: &Value, review: &Value) -> Value {
    let mut pod = request["request"]["object"].clone();
    let response = &review["response"];
    if response["patch"].is_null() {
        assert!(response["patchType"].is_null(), "{response}");
        return pod;
    }
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(response["patch"].as_str().expect("base64")).expect("base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("a JSON patch");
    assert!(!patch.is_empty(), "an empty patch is none");
    json_patch::patch(&mut pod, &patch).expect("the patch applies");
    pod
}

pub(crate) fn review(request: &Value) -> Value {
    let output = run(&["review", "--verifier", VERIFIER], request.to_string().as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn read(path: &Path) -> Option<Value> {
    let bytes = fs::read(path).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn check(folder: &Path) {
    let name = folder.display();
    let request = read(&folder.join("request.json")).unwrap_or_else(|| panic!("{name} has no request.json"));
    let answer = review(&request);
    let response = &answer["response"];
    assert_eq!((&answer["apiVersion"], &answer["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")), "{name}");
    assert_eq!(response["uid"], request["request"]["uid"], "{name}");
    match (read(&folder.join("pod.json")), read(&folder.join("refusal.json"))) {
        (Some(pod), None) => {
            assert_eq!(response["allowed"], true, "{name}: {response}");
            assert_eq!(patched(&request, &answer), pod, "{name}");
            assert_eq!(response["patch"].is_null(), pod == request["request"]["object"], "{name}: a patch only where something changes");
            let mut again = request.clone();
            again["request"]["object"] = pod;
            assert!(review(&again)["response"]["patch"].is_null(), "{name}: patched twice");
        }
        (None, Some(refusal)) => {
            assert_eq!(response["allowed"], false, "{name}: {response}");
            assert_eq!((&response["status"]["code"], &response["status"]["message"]), (&refusal["code"], &refusal["message"]), "{name}");
            assert!(response["patch"].is_null(), "{name}");
        }
        _ => panic!("{name}: wanted pod.json or refusal.json"),
    }
}

#[test]
fn every_fixture_is_answered_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut folders: Vec<_> = fs::read_dir(folder).expect("the fixtures").map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    assert!(folders.len() > 50, "found {} fixtures", folders.len());
    for folder in folders {
        check(&folder);
    }
}
