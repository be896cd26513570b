//! The leaf: what kernel and runtime say about a container, with the key and the salt that came from it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use podseal_protocol::{Digest, Leaf, Limits, frame::WorkloadRequest};
use serde::Deserialize;

use crate::{config::Node, identify::Identity};

/// A leaf's bytes, and the bytes whose digests it names.
pub struct Claim {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// OCI spec, pod set, token.
    pub attachments: Vec<Vec<u8>>,
}

/// Makes the one leaf of a session; `token` is the pod's, empty where it has none.
#[must_use]
pub fn claim(node: &Node, identity: &Identity, request: &WorkloadRequest, token: &[u8], limits: &Limits) -> Claim {
    let pod_set = identity.pod_set.encode();
    let leaf = Leaf {
        salt: request.salt,
        workload_key: request.workload_key,
        cluster: node.cluster.clone(),
        namespace: identity.namespace.clone(),
        pod: identity.pod.clone(),
        pod_uid: identity.pod_uid.clone(),
        service_account: service_account(token, limits),
        node_uid: node.uid.clone(),
        container: identity.container.clone(),
        container_id: identity.container_id.clone(),
        init_start: identity.init_start,
        image_manifest: identity.image.manifest,
        image_config: identity.image.config,
        spec: Digest::of(&identity.spec),
        pod_set: Digest::of(&pod_set),
        launcher: identity.launcher,
        token: Digest::of(token),
        secrets: identity.secrets.clone(),
        sequence: 1,
    };
    let mut attachments = vec![identity.spec.clone(), pod_set];
    if !token.is_empty() {
        attachments.push(token.to_vec());
    }
    Claim { leaf: leaf.encode(), attachments }
}

/// The part of a service-account token's payload that is read (Kubernetes, private claims of bound tokens).
#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
struct Kubernetes {
    serviceaccount: ServiceAccount,
}

#[derive(Deserialize)]
struct ServiceAccount {
    name: String,
}

/// Which service account the token claims to be of. Nothing is verified here: the verifier compares this with the token that it verified.
fn service_account(token: &[u8], limits: &Limits) -> String {
    let payload = token.split(|byte| *byte == b'.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let payload = payload.and_then(|json| serde_json::from_slice::<Payload>(&json).ok());
    payload.map(|p| p.kubernetes.serviceaccount.name).filter(|name| name.len() <= limits.text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::service_account;
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use podseal_protocol::Limits;

    fn named_in(payload: &str) -> String {
        service_account(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)).as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn the_service_account_of_a_token() {
        assert_eq!(named_in(r#"{"aud":["x"],"kubernetes.io":{"namespace":"n","serviceaccount":{"name":"api","uid":"u"}}}"#), "api");
        let long = format!(r#"{{"kubernetes.io":{{"serviceaccount":{{"name":"{}"}}}}}}"#, "a".repeat(513));
        for payload in ["", "{}", r#"{"kubernetes.io":{}}"#, r#"{"kubernetes.io":{"serviceaccount":{"name":7}}}"#, &long] {
            assert_eq!(named_in(payload), "", "{payload}");
        }
        for token in ["", "a", "a.b", "a.!.c"] {
            assert_eq!(service_account(token.as_bytes(), &Limits::DEFAULT), "", "{token}");
        }
    }
}
