//! The patch (RFC 6902): command and mount of each container that asks, and one volume. What is there already is left as it is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use podseal_protocol::Digest;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    ask::Ask,
    launch::{self, Found},
    pod::{Container, Pod},
    refusal::Refusal,
};

const VOLUME: &str = "podseal";
const DRIVER: &str = "podseal.dev";
const PATH: &str = "/podseal";

/// One operation of a JSON patch. `add` on a member that is there replaces it (RFC 6902, section 4.1).
#[derive(Debug, Serialize)]
pub(super) struct Operation {
    op: &'static str,
    path: String,
    value: Value,
}

/// As a response carries a patch: base64 of its JSON.
pub(super) fn encode(operations: &[Operation]) -> Result<String, serde_json::Error> {
    Ok(STANDARD.encode(serde_json::to_vec(operations)?))
}

/// What is missing for the containers that ask.
pub(super) fn of(pod: &Pod, ask: &Ask<'_>, verifier: &Digest) -> Result<Vec<Operation>, Refusal> {
    let mut operations = Vec::new();
    for (pointer, container) in pod.spec.containers() {
        if ask.includes(&container.name) {
            operations.extend(start_by_launcher(&pointer, container, verifier)?);
            operations.extend(mount(&pointer, container)?);
        } else if container.mounts().iter().any(|mount| text(mount, "name") == Some(VOLUME)) {
            return Err(Refusal::MountWithoutSecret { container: container.name.clone() });
        }
    }
    operations.extend(volume(pod)?);
    Ok(operations)
}

fn start_by_launcher(pointer: &str, container: &Container, verifier: &Digest) -> Result<Option<Operation>, Refusal> {
    let own = match launch::read(container.command(), verifier) {
        Found::Own(own) | Found::Ours(own) => own,
        Found::Foreign => return Err(Refusal::LauncherByHand { container: container.name.clone() }),
    };
    let wanted = launch::command(verifier, own, container.args());
    let patched = || Operation { op: "add", path: format!("{pointer}/command"), value: Value::from(wanted.clone()) };
    Ok((wanted != container.command()).then(patched))
}

fn mount(pointer: &str, container: &Container) -> Result<Option<Operation>, Refusal> {
    let ours = json!({ "name": VOLUME, "mountPath": PATH, "readOnly": true });
    let mut is_there = false;
    for found in container.mounts() {
        let takes_our_place = text(found, "name") == Some(VOLUME) || text(found, "mountPath").is_some_and(is_at_our_path);
        if is_the_same(found, &ours) {
            is_there = true;
        } else if takes_our_place {
            return Err(Refusal::MountTaken { container: container.name.clone() });
        }
    }
    if container.device_paths().any(is_at_our_path) {
        return Err(Refusal::MountTaken { container: container.name.clone() });
    }
    Ok((!is_there).then(|| append(&format!("{pointer}/volumeMounts"), container.volume_mounts.is_some(), ours)))
}

fn volume(pod: &Pod) -> Result<Option<Operation>, Refusal> {
    let ours = json!({ "name": VOLUME, "csi": { "driver": DRIVER, "readOnly": true } });
    let mut is_there = false;
    for found in pod.spec.volumes.iter().flatten() {
        let driver = found.get("csi").and_then(|csi| text(csi, "driver"));
        if is_the_same(found, &ours) {
            is_there = true;
        } else if text(found, "name") == Some(VOLUME) || driver == Some(DRIVER) {
            return Err(Refusal::VolumeTaken { volume: text(found, "name").unwrap_or_default().to_owned() });
        }
    }
    Ok((!is_there).then(|| append("/spec/volumes", pod.spec.volumes.is_some(), ours)))
}

/// At the end of a list, or as its only element where there is no list.
fn append(list: &str, is_there: bool, value: Value) -> Operation {
    if is_there {
        Operation { op: "add", path: format!("{list}/-"), value }
    } else {
        Operation { op: "add", path: list.to_owned(), value: Value::Array(vec![value]) }
    }
}

fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member).and_then(Value::as_str)
}

/// Equal, but for members that are null: absent to an API server.
fn is_the_same(found: &Value, ours: &Value) -> bool {
    match (found, ours) {
        (Value::Object(found), Value::Object(ours)) => {
            let mut given = found.iter().filter(|(_, value)| !value.is_null());
            given.all(|(key, _)| ours.contains_key(key))
                && ours.iter().all(|(key, value)| found.get(key).is_some_and(|found| is_the_same(found, value)))
        }
        _ => found == ours,
    }
}

/// Whether `path` is [`PATH`], or lies below it, however it is written.
fn is_at_our_path(path: &str) -> bool {
    let mut folders = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            folders.pop();
        } else {
            folders.push(part);
        }
    }
    folders.first().is_some_and(|first| Some(*first) == PATH.strip_prefix('/'))
}
