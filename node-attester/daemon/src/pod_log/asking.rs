//! Who was started: what CRI says of a pod's container, what containerd says of everything else.

use std::collections::HashMap;

use podseal_protocol::{Limits, pod_log::Started};
use serde::Deserialize;

use super::{
    containerd::{Away, Containerd, Named},
    interface::containers::Container,
};
use crate::identify::{Refusal, Runtime};

/// The namespace of containerd in which CRI keeps pods.
const PODS: &str = "k8s.io";
/// Annotations that CRI writes into the runtime spec (containerd, pkg/cri/annotations).
const KIND: &str = "io.kubernetes.cri.container-type";
const SANDBOX: &str = "sandbox";
const POD_NAME: &str = "io.kubernetes.cri.sandbox-name";
const POD_NAMESPACE: &str = "io.kubernetes.cri.sandbox-namespace";
const POD_UID: &str = "io.kubernetes.cri.sandbox-uid";
const CONTAINER_NAME: &str = "io.kubernetes.cri.container-name";
/// Label by which the kubelet names the pod, where the annotation is not there yet.
const POD_UID_LABEL: &str = "io.kubernetes.pod.uid";
/// What CRI keeps of a sandbox with containerd.
const SANDBOX_METADATA: &str = "io.cri-containerd.sandbox.metadata";

/// The id that the log has: that of the runtime for a pod's container, as leaves have it; with its namespace for any other.
pub(super) fn id(named: &Named) -> String {
    if named.namespace == PODS { named.id.clone() } else { format!("{}/{}", named.namespace, named.id) }
}

/// What the log says of a container. One that is gone is recorded without names.
pub(super) async fn started(containerd: &Containerd, named: &Named, heard: bool, limits: &Limits) -> Result<Started, Away> {
    let described = if named.namespace == PODS { by_cri(containerd, &named.id, limits).await? } else { None };
    let described = match described {
        Some(started) => Some(started),
        None => containerd.container(named).await?.map(by_containerd),
    };
    let started = described.unwrap_or_else(nothing);
    // Outside CRI's namespace anybody writes what CRI would.
    let started = Started { privileged: started.privileged || named.namespace != PODS, ..started };
    Ok(within(Started { container_id: id(named), heard, ..started }, limits))
}

/// `None` where CRI knows no such container, or not enough of it.
async fn by_cri(containerd: &Containerd, id: &str, limits: &Limits) -> Result<Option<Started>, Away> {
    match containerd.timely("ContainerStatus", Runtime::over(containerd.channel(), *limits).describe(id)).await? {
        Ok(started) => Ok(Some(started)),
        Err(away @ Refusal::RuntimeAway { .. }) => Err(Away::Unreachable(away)),
        Err(_) => Ok(None),
    }
}

/// The part of an OCI runtime spec that is read.
#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// The part of CRI's own metadata of a sandbox that is read.
#[derive(Deserialize)]
struct Versioned {
    #[serde(rename = "Metadata")]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "Config")]
    config: Configuration,
}

#[derive(Deserialize)]
struct Configuration {
    linux: Option<Linux>,
}

#[derive(Deserialize)]
struct Linux {
    security_context: Option<SecurityContext>,
}

#[derive(Deserialize)]
struct SecurityContext {
    #[serde(default)]
    privileged: bool,
}

fn by_containerd(container: Container) -> Started {
    let Container { mut labels, image, spec, extensions, .. } = container;
    let spec: Spec = spec.and_then(|spec| serde_json::from_slice(&spec.value).ok()).unwrap_or_default();
    let mut annotations = spec.annotations;
    let mut take = |name: &str| annotations.remove(name).unwrap_or_default();
    let sandbox = take(KIND) == SANDBOX;
    let pod_uid = Some(take(POD_UID)).filter(|uid| !uid.is_empty()).or_else(|| labels.remove(POD_UID_LABEL)).unwrap_or_default();
    let metadata = extensions.get(SANDBOX_METADATA).and_then(|kept| serde_json::from_slice::<Versioned>(&kept.value).ok());
    let context = metadata.map(|kept| kept.metadata.config.linux.and_then(|linux| linux.security_context));
    let privileged = context.is_none_or(|context| context.is_some_and(|context| context.privileged));
    Started {
        sandbox,
        pod_uid,
        namespace: take(POD_NAMESPACE),
        pod: take(POD_NAME),
        container: take(CONTAINER_NAME),
        image,
        privileged: privileged || !sandbox,
        ..nothing()
    }
}

fn nothing() -> Started {
    let none = String::new;
    Started {
        container_id: none(),
        sandbox: false,
        pod_uid: none(),
        namespace: none(),
        pod: none(),
        container: none(),
        image: none(),
        privileged: true,
        heard: false,
    }
}

/// Names no longer than a record takes. Of an image the end is kept, which has the digest.
fn within(started: Started, limits: &Limits) -> Started {
    let begin = |text: String| shorter(text, limits);
    let Started { container_id, sandbox, pod_uid, namespace, pod, container, image, privileged, heard } = started;
    let mut from = image.len().saturating_sub(limits.text);
    while !image.is_char_boundary(from) {
        from += 1;
    }
    Started {
        container_id: begin(container_id),
        sandbox,
        pod_uid: begin(pod_uid),
        namespace: begin(namespace),
        pod: begin(pod),
        container: begin(container),
        image: image.get(from..).unwrap_or_default().to_owned(),
        privileged,
        heard,
    }
}

/// The beginning of a name, as much as a record takes.
pub(super) fn shorter(mut text: String, limits: &Limits) -> String {
    let mut to = text.len().min(limits.text);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    text.truncate(to);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{super::interface::containers::Any, *};
    use podseal_protocol::pod_log::{Event, Record, Records, Register};

    const LIMITS: Limits = Limits::DEFAULT;

    fn any(json: &str) -> Any {
        Any { type_url: String::new(), value: json.as_bytes().to_vec() }
    }

    fn sandbox(metadata: Option<&str>) -> Started {
        let spec = r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"pod"}}"#;
        let labels = [(POD_UID_LABEL.to_owned(), "uid".to_owned())].into();
        let extensions = metadata.map(|kept| (SANDBOX_METADATA.to_owned(), any(kept))).into_iter().collect();
        by_containerd(Container { labels, spec: Some(any(spec)), extensions, ..Default::default() })
    }

    #[test]
    fn privileged_unless_the_runtime_says_otherwise() {
        let kept = |linux: &str| format!(r#"{{"Version":"v1","Metadata":{{"Config":{{{linux}}}}}}}"#);
        // What CRI keeps leaves out what is false, as identification takes it too.
        for not in ["", r#""linux":{}"#, r#""linux":{"security_context":{}}"#, r#""linux":{"security_context":{"privileged":false}}"#] {
            assert!(!sandbox(Some(&kept(not))).privileged, "{not}");
        }
        assert!(sandbox(Some(&kept(r#""linux":{"security_context":{"privileged":true}}"#))).privileged);
        assert!(sandbox(None).privileged && sandbox(Some("?")).privileged && by_containerd(Container::default()).privileged);
        let found = sandbox(None);
        assert_eq!((found.sandbox, found.pod.as_str(), found.pod_uid.as_str()), (true, "pod", "uid"));
    }

    #[test]
    fn no_name_is_too_long_for_a_record() {
        let long = || "ü".repeat(LIMITS.text);
        let digest = format!("@sha256:{}", podseal_protocol::Digest::of(b"manifest"));
        let (pod_uid, namespace, pod, container) = (long(), long(), long(), long());
        let started = Started { container_id: long(), pod_uid, namespace, pod, container, image: long() + &digest, ..nothing() };
        let started = within(started, &LIMITS);
        assert!(started.image.ends_with(&digest));
        let bytes = Record { number: 0, event: Event::Started(started) }.encode(Register::TPM);
        assert!(Records::new(&bytes, 0, Register::TPM, &LIMITS).all(|record| record.is_ok()));
    }
}
