//! A pod of the payment team: what runtime, kubelet and cluster say about its container.

use std::sync::LazyLock;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use podseal_protocol::{Digest, HostNamespaces, Leaf, PodContainer, PodSet, SecretRequest, key::PublicKey};
use serde_json::{Value, json};

use super::tokens::{CLUSTER, ISSUER, Signer, compact};

pub(crate) const NODE_UID: &str = "2f0a7c1e-node-a";
const CAPABILITIES: [&str; 3] = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

static WORKLOAD_KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    PublicKey::from_bytes(key.public_key().as_ref()).unwrap()
});

/// One container that asks. The digests of its leaf are filled in when it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) leaf: Leaf,
    pub(crate) spec: Value,
    pub(crate) containers: Vec<PodContainer>,
    pub(crate) host: HostNamespaces,
    pub(crate) claims: Value,
    pub(crate) signer: Signer,
    /// These bytes instead of those of `spec`.
    pub(crate) spec_bytes: Option<Vec<u8>>,
    /// These bytes instead of those of `containers`.
    pub(crate) pod_set_bytes: Option<Vec<u8>>,
    /// This header instead of the signer's.
    pub(crate) header: Option<String>,
    /// These bytes instead of a token.
    pub(crate) token_bytes: Option<Vec<u8>>,
    /// Changes the leaf's bytes before they are bound.
    pub(crate) encoding: fn(&mut Vec<u8>),
}

/// A pod's leaf and attachments as bytes.
#[derive(Debug, Clone)]
pub(crate) struct PodBytes {
    pub(crate) leaf: Vec<u8>,
    pub(crate) spec: Vec<u8>,
    pub(crate) pod_set: Vec<u8>,
    pub(crate) token: Vec<u8>,
}

impl Pod {
    /// Replica number `index` of `payments/payment-api`.
    pub(crate) fn payment_api(index: usize, verifier: &Digest, now: u64) -> Self {
        let leaf = leaf(index);
        Self {
            spec: spec(&leaf, verifier),
            containers: vec![
                container(&leaf.container_id, &leaf.container, leaf.image_manifest, leaf.image_config),
                container(&format!("0{index}-proxy"), "proxy", Digest::of(b"proxy manifest"), Digest::of(b"proxy config")),
            ],
            host: HostNamespaces::default(),
            claims: claims(&leaf, verifier, now),
            leaf,
            signer: Signer::Rs256,
            spec_bytes: None,
            pod_set_bytes: None,
            header: None,
            token_bytes: None,
            encoding: |_| (),
        }
    }

    pub(crate) fn bytes(&self) -> PodBytes {
        let spec = self.spec_bytes.clone().unwrap_or_else(|| self.spec.to_string().into_bytes());
        let pod_set = self.pod_set_bytes.clone().unwrap_or_else(|| PodSet::new(self.host, self.containers.clone()).encode());
        let header = self.header.as_deref().unwrap_or(self.signer.header());
        let token = self.token_bytes.clone().unwrap_or_else(|| compact(header, &self.claims.to_string(), self.signer));
        let digests = Leaf { spec: Digest::of(&spec), pod_set: Digest::of(&pod_set), token: Digest::of(&token), ..self.leaf.clone() };
        let mut leaf = digests.encode();
        (self.encoding)(&mut leaf);
        PodBytes { leaf, spec, pod_set, token }
    }
}

fn leaf(index: usize) -> Leaf {
    let nothing = Digest::of(b"");
    let asks = |file: &str, secret: &str| SecretRequest { file: file.to_owned(), secret: secret.to_owned() };
    Leaf {
        salt: Digest::of(&index.to_be_bytes()).0,
        workload_key: *WORKLOAD_KEY,
        cluster: CLUSTER.to_owned(),
        namespace: "payments".to_owned(),
        pod: format!("payment-api-{index}"),
        pod_uid: format!("8a61e0c4-pod-{index}"),
        service_account: "payment-api".to_owned(),
        node_uid: NODE_UID.to_owned(),
        container: "api".to_owned(),
        container_id: format!("4be1{index:060}"),
        init_start: 123_456,
        image_manifest: Digest::of(b"payment-api manifest"),
        image_config: Digest::of(b"payment-api config"),
        spec: nothing,
        pod_set: nothing,
        launcher: Digest::of(b"podseal-launch"),
        token: nothing,
        secrets: vec![asks("db", "payments/db"), asks("api-key", "payments/api-key")],
        sequence: 1,
    }
}

fn container(id: &str, name: &str, image_manifest: Digest, image_config: Digest) -> PodContainer {
    PodContainer { id: id.to_owned(), name: name.to_owned(), image_manifest, image_config, privileged: false }
}

fn claims(leaf: &Leaf, verifier: &Digest, now: u64) -> Value {
    json!({
        "aud": [verifier.to_string()], "iss": ISSUER, "iat": now - 60, "nbf": now - 60, "exp": now + 540,
        "jti": "7d1f0a52-9b0e-4a53-8f7c-1f0f1c2c3d4e",
        "sub": "system:serviceaccount:payments:payment-api",
        "kubernetes.io": {
            "namespace": leaf.namespace,
            "pod": {"name": leaf.pod, "uid": leaf.pod_uid},
            "node": {"name": "node-a", "uid": leaf.node_uid},
            "serviceaccount": {"name": leaf.service_account, "uid": "5e0c-sa"},
        },
    })
}

/// What containerd's CRI plug-in hands out for a restricted pod.
fn spec(leaf: &Leaf, verifier: &Digest) -> Value {
    let kubelet = format!("/var/lib/kubelet/pods/{}", leaf.pod_uid);
    let sandbox = format!("5a4d-sandbox-{}", leaf.pod);
    let cri = format!("io.containerd.grpc.v1.cri/sandboxes/{sandbox}");
    let kernel = |destination: &str, kind: &str| json!({"destination": destination, "type": kind, "source": kind, "options": ["nosuid", "noexec", "nodev"]});
    let bind = |destination: &str, source: String, mode: &str| json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate", mode]});
    let namespace = |kind: &str| json!({"type": kind, "path": format!("/proc/4711/ns/{kind}")});
    let device = |major: u32, minor: u32| json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"});
    json!({
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": 10001, "gid": 10001, "additionalGids": [10001]},
            "args": ["/podseal/launch", "--verifier", verifier.to_string(), "--", "/usr/local/bin/payment-api", "--port=8443"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", format!("HOSTNAME={}", leaf.pod), "LISTEN=0.0.0.0:8443"],
            "cwd": "/",
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            "noNewPrivileges": true,
            "oomScoreAdj": 987,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            kernel("/proc", "proc"), kernel("/dev", "tmpfs"), kernel("/dev/pts", "devpts"), kernel("/dev/mqueue", "mqueue"),
            kernel("/sys", "sysfs"), kernel("/sys/fs/cgroup", "cgroup"),
            bind("/etc/hosts", format!("{kubelet}/etc-hosts"), "rw"),
            bind("/dev/termination-log", format!("{kubelet}/containers/api/0f3a"), "rw"),
            bind("/etc/hostname", format!("/var/lib/containerd/{cri}/hostname"), "ro"),
            bind("/etc/resolv.conf", format!("/var/lib/containerd/{cri}/resolv.conf"), "ro"),
            bind("/dev/shm", format!("/run/containerd/{cri}/shm"), "rw"),
            bind("/podseal", "/run/podseal/publish".to_owned(), "ro"),
            bind("/tmp", format!("{kubelet}/volumes/kubernetes.io~empty-dir/tmp"), "rw"),
        ],
        "annotations": {
            "io.kubernetes.cri.container-name": "api", "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.sandbox-id": sandbox, "io.kubernetes.cri.sandbox-namespace": leaf.namespace,
        },
        "linux": {
            "resources": {
                "devices": [
                    {"allow": false, "access": "rwm"}, device(1, 3), device(1, 5), device(1, 7), device(1, 8), device(1, 9), device(5, 0),
                    {"allow": true, "type": "c", "access": "m"}, {"allow": true, "type": "b", "access": "m"},
                ],
                "memory": {"limit": 268_435_456}, "cpu": {"shares": 102, "quota": 50000, "period": 100_000},
            },
            "cgroupsPath": format!("/kubepods/burstable/pod{}/{}", leaf.pod_uid, leaf.container_id),
            "namespaces": [{"type": "pid"}, namespace("ipc"), namespace("uts"), {"type": "mount"}, namespace("network")],
            "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}
