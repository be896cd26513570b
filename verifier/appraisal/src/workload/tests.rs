#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::sync::LazyLock;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use podseal_protocol::{HostNamespaces, PodContainer, key::PublicKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    check::{Check, Verdict, first_obstacle, worst},
    claims::Claim,
};

const VERIFIER: &str = "4c1d9f";
static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

fn sources() -> MountSources {
    MountSources::new("/var/lib/kubelet".to_owned(), vec!["/run/containerd".to_owned()], Vec::new()).unwrap()
}

fn leaf() -> Leaf {
    Leaf {
        salt: [0; 32],
        workload_key: PublicKey::from_bytes(KEY.public_key().as_ref()).unwrap(),
        cluster: "prod-eu".to_owned(),
        namespace: "payments".to_owned(),
        pod: "payment-api-0".to_owned(),
        pod_uid: "p-1".to_owned(),
        service_account: "payment-api".to_owned(),
        node_uid: "n-1".to_owned(),
        container: "api".to_owned(),
        container_id: "c-1".to_owned(),
        init_start: 7,
        image_manifest: Digest::of(b"manifest"),
        image_config: Digest::of(b"config"),
        spec: Digest::of(b""),
        pod_set: Digest::of(b""),
        launcher: Digest::of(b"launcher"),
        token: Digest::of(b""),
        secrets: Vec::new(),
        sequence: 1,
    }
}

fn token() -> TokenFacts {
    TokenFacts {
        cluster: "prod-eu".to_owned(),
        namespace: "payments".to_owned(),
        pod: "payment-api-0".to_owned(),
        pod_uid: "p-1".to_owned(),
        service_account: "payment-api".to_owned(),
        names_node: Claim::Appraised(true),
        expires: 0,
    }
}

/// The shape in which containerd's CRI plug-in hands it out.
fn spec() -> Value {
    let capabilities = json!(["CAP_CHOWN", "CAP_KILL"]);
    json!({
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": 1000, "gid": 1001, "additionalGids": [0]},
            "args": ["/podseal/launch", "--verifier", VERIFIER, "--", "/app", "--verifier", "for the application"],
            "env": ["PATH=/bin", "HOSTNAME=payment-api-0", "EMPTY=", "PAIR=a=b"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": ["CAP_CHOWN", "CAP_SETUID"]},
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/etc/hosts", "type": "bind", "source": "/var/lib/kubelet/pods/p-1/etc-hosts", "options": ["rbind", "rw"]},
            {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "ro"]},
            {"destination": "/dev/shm", "type": "bind",
             "source": "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/sb-1/shm", "options": ["rbind", "ro"]},
        ],
        "annotations": {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "sb-1"},
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "ipc", "path": "/proc/9/ns/ipc"}, {"type": "uts", "path": "/proc/9/ns/uts"},
                {"type": "mount"}, {"type": "network", "path": "/proc/9/ns/net"},
            ],
            "resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]},
            "devices": [{"path": "/dev/b", "type": "c", "major": 1, "minor": 3}, {"path": "/dev/a", "type": "c", "major": 1, "minor": 5}],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn member(id: &str, name: &str, content: &[u8]) -> PodContainer {
    let (manifest, config) =
        if id == "c-1" { (Digest::of(b"manifest"), Digest::of(b"config")) } else { (Digest::of(content), Digest::of(b"")) };
    PodContainer { id: id.to_owned(), name: name.to_owned(), image_manifest: manifest, image_config: config, privileged: false }
}

fn pod_set() -> PodSet {
    PodSet::new(HostNamespaces::default(), vec![member("c-1", "api", b""), member("c-0", "proxy", b"proxy")])
}

fn appraise_bytes(spec: &[u8], pod_set: &[u8]) -> (Option<WorkloadClaims>, Vec<Check>) {
    let sources = sources();
    let expected = WorkloadExpectations { verifier_id: VERIFIER, sources: &sources, running: None };
    let mut checks = Checks::owing(&[]);
    let attachments = WorkloadAttachments { spec, pod_set };
    let claims = appraise_workload(attachments, &leaf(), &token(), &expected, &Limits::DEFAULT, &mut checks);
    (claims, checks.finish())
}

#[track_caller]
fn claims_of(spec: &Value, pod_set: &PodSet) -> WorkloadClaims {
    let (claims, checks) = appraise_bytes(spec.to_string().as_bytes(), &pod_set.encode());
    assert_eq!(worst(&checks), Verdict::Pass, "{:?}", first_obstacle(&checks));
    claims.expect("claims")
}

fn with(change: impl FnOnce(&mut Value)) -> WorkloadClaims {
    let mut spec = spec();
    change(&mut spec);
    claims_of(&spec, &pod_set())
}

#[track_caller]
fn refused_by(rule: &str, spec: &[u8], pod_set: &[u8]) {
    let (claims, checks) = appraise_bytes(spec, pod_set);
    assert_eq!(first_obstacle(&checks).map(|check| (check.rule.name, check.verdict)), Some((rule, Verdict::Fail)));
    assert_eq!(claims, None);
}

#[track_caller]
fn spec_refused_by(rule: &str, change: impl FnOnce(&mut Value)) {
    let mut spec = spec();
    change(&mut spec);
    refused_by(rule, spec.to_string().as_bytes(), &pod_set().encode());
}

#[test]
fn honest_workload() {
    let claims = claims_of(&spec(), &pod_set());
    assert_eq!((claims.uid, claims.gid, claims.hooks), (1000, 1001, 0));
    assert_eq!(claims.args[..4], ["/podseal/launch", "--verifier", VERIFIER, "--"]);
    let env: Vec<_> = claims.env.iter().map(|var| (var.name.as_str(), var.value)).collect();
    let value = |text: &str| Digest::of(text.as_bytes());
    let wanted = [("EMPTY", value("")), ("HOSTNAME", value("payment-api-0")), ("PAIR", value("a=b")), ("PATH", value("/bin"))];
    assert_eq!(env, wanted);
    let mounts: Vec<_> = claims.mounts.iter().map(|m| (m.destination.as_str(), m.kind.as_str(), m.read_only)).collect();
    let wanted = [("/data", "hostPath", true), ("/dev/shm", "kernel", true), ("/etc/hosts", "hosts", false), ("/proc", "kernel", false)];
    assert_eq!(mounts, wanted);
    assert_eq!(claims.devices, ["/dev/a", "/dev/b"]);
    assert_eq!(claims.capabilities, ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"]);
    assert_eq!(claims.siblings, [Sibling { name: "proxy".to_owned(), image: Digest::of(b"proxy"), privileged: false }]);
    assert!(claims.read_only_root && claims.no_new_privileges);
    assert!(!claims.privileged && !claims.host_network && !claims.host_pid && !claims.host_ipc && !claims.shared_pid);
    assert_eq!(claims.token_names_node, Claim::Appraised(true));
}

#[test]
fn other_values_show() {
    assert!(!with(|s| s["root"]["readonly"] = false.into()).read_only_root);
    assert!(!with(|s| drop(s["root"].as_object_mut().unwrap().remove("readonly"))).read_only_root);
    assert!(!with(|s| drop(s["process"].as_object_mut().unwrap().remove("noNewPrivileges"))).no_new_privileges);
    assert_eq!(with(|s| s["hooks"] = json!({"prestart": [{"path": "/a"}, {"path": "/b"}], "poststop": [{"path": "/c"}]})).hooks, 3);
    assert_eq!(with(|s| s["hooks"] = json!({"aNewStage": [{"path": "/a"}], "prestart": null})).hooks, 1);
    let preload = with(|s| s["process"]["env"].as_array_mut().unwrap().push("LD_PRELOAD=/tmp/x.so".into()));
    assert!(preload.env.iter().any(|var| var.name == "LD_PRELOAD"));
}

#[test]
fn privileged_pod() {
    let devices = |rules: Value| with(|s| s["linux"]["resources"]["devices"] = rules).privileged;
    let deny = json!({"allow": false, "access": "rwm"});
    assert!(!devices(json!([deny])));
    assert!(!devices(json!([deny, {"allow": true, "type": "c", "access": "m"}])));
    assert!(!devices(json!([deny, {"allow": true, "type": "c", "major": 136, "access": "rwm"}])));
    assert!(devices(json!([deny, {"allow": true, "access": "rwm"}])));
    assert!(devices(json!([deny, {"allow": true, "type": "a", "major": -1, "minor": -1}])));
    assert!(devices(json!([deny, {"allow": true, "type": "b", "major": 8, "access": "r"}])));
    assert!(devices(json!([deny, {"allow": true, "type": "c", "access": "w"}])));
    assert!(devices(json!([])));
    assert!(devices(json!([{"allow": false, "access": "w"}])));
    assert!(devices(json!([{"allow": false, "type": "c"}])));
    assert!(with(|s| drop(s["linux"].as_object_mut().unwrap().remove("resources"))).privileged);
    for capability in ["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_DAC_READ_SEARCH", "CAP_BPF"] {
        assert!(with(|s| s["process"]["capabilities"]["ambient"] = json!([capability])).privileged, "{capability}");
    }
    for path in ["/proc/sys", "/proc/sysrq-trigger"] {
        assert!(with(|s| s["linux"]["readonlyPaths"].as_array_mut().unwrap().retain(|p| p != path)).privileged, "{path}");
    }
    let mut own = member("c-1", "api", b"");
    own.privileged = true;
    assert!(claims_of(&spec(), &PodSet::new(HostNamespaces::default(), vec![own])).privileged);
}

#[test]
fn host_namespaces() {
    let without = |kind: &str| with(|s| s["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != kind));
    assert!(without("network").host_network && without("ipc").host_ipc);
    let pid = without("pid");
    assert!(pid.host_pid && pid.shared_pid);
    let host = |host: HostNamespaces| claims_of(&spec(), &PodSet::new(host, pod_set().containers().to_vec()));
    assert!(host(HostNamespaces { network: true, ..HostNamespaces::default() }).host_network);
    assert!(host(HostNamespaces { ipc: true, ..HostNamespaces::default() }).host_ipc);
}

#[test]
fn shared_pid_namespace() {
    let mut joined = spec();
    joined["linux"]["namespaces"][0]["path"] = "/proc/9/ns/pid".into();
    let shared = claims_of(&joined, &pod_set());
    assert!(shared.shared_pid && !shared.host_pid);
    let sandbox = HostNamespaces { pid: true, ..HostNamespaces::default() };
    let host = claims_of(&joined, &PodSet::new(sandbox, pod_set().containers().to_vec()));
    assert!(host.shared_pid && host.host_pid);
    let twice = with(|s| s["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "pid", "path": "/proc/9/ns/pid"})));
    assert!(twice.shared_pid);
}

#[test]
fn verifier_in_argv() {
    let args = |args: Value| move |s: &mut Value| s["process"]["args"] = args;
    assert_eq!(with(args(json!(["launch", format!("--verifier={VERIFIER}")]))).args.len(), 2);
    for wrong in [
        json!(["launch", "--verifier", "other", "--", "/app"]),
        json!(["launch", "--", "/app", "--verifier", VERIFIER]),
        json!(["launch", "--verifier", VERIFIER, "--verifier", "other", "--", "/app"]),
        json!(["launch", "--verifier", VERIFIER, "--verifier", VERIFIER]),
        json!(["launch", "--verifier", VERIFIER, "--verifier=other"]),
        json!(["launch", "--verifier"]),
        json!(["--verifier", VERIFIER]),
        json!(["/app"]),
    ] {
        spec_refused_by("spec.verifier_pinned", args(wrong));
    }
}

#[test]
fn environment_that_readers_disagree_about() {
    spec_refused_by("spec.env_unique", |s| s["process"]["env"] = json!(["A=1", "B=2", "A=3"]));
    spec_refused_by("spec.env_unique", |s| s["process"]["env"] = json!(["A=1", "A=1"]));
    spec_refused_by("spec.env_named", |s| s["process"]["env"] = json!(["A=1", "LONELY"]));
    spec_refused_by("spec.env_named", |s| s["process"]["env"] = json!(["=1"]));
    let (_, checks) = appraise_bytes(
        json!({"process": {"args": ["a"], "user": {"uid": 0, "gid": 0}, "env": ["A=hunter2", "A=hunter3", "hunter4"]},
               "root": {}, "linux": {"namespaces": []}})
        .to_string()
        .as_bytes(),
        &[],
    );
    assert!(!format!("{checks:?}").contains("hunter"));
}

#[test]
fn specs_that_lack_something() {
    spec_refused_by("spec.complete", |s| s["process"]["args"] = json!([]));
    for (object, key) in [
        ("/process", "args"),
        ("/process", "user"),
        ("/process/user", "uid"),
        ("/process/user", "gid"),
        ("", "process"),
        ("", "root"),
        ("", "linux"),
        ("/linux", "namespaces"),
    ] {
        spec_refused_by("spec.complete", |s| drop(s.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(key)));
    }
}

#[test]
fn duplicate_keys() {
    let text = spec().to_string();
    let pod_set = pod_set().encode();
    for (honest, twice) in [
        ("\"process\":{", "\"process\":{},\"process\":{"),
        ("\"user\":{", "\"user\":{\"uid\":0,"),
        ("\"annotations\":{", "\"annotations\":{\"x\":1,\"x\":2,"),
        ("\"linux\":{", "\"Linux\":{},\"linux\":{"),
    ] {
        assert!(text.contains(honest));
        refused_by("spec.parses", text.replacen(honest, twice, 1).as_bytes(), &pod_set);
    }
    refused_by("spec.parses", format!("{text} x").as_bytes(), &pod_set);
    refused_by("spec.parses", b"", &pod_set);
    refused_by("spec.parses", &vec![b' '; Limits::DEFAULT.attachment + 1], &pod_set);
}

#[test]
fn pod_sets_of_something_else() {
    let spec = spec().to_string();
    refused_by("podset.parses", spec.as_bytes(), &[]);
    let mut trailing = pod_set().encode();
    trailing.push(0);
    refused_by("podset.parses", spec.as_bytes(), &trailing);
    let set = |containers: Vec<PodContainer>| PodSet::new(HostNamespaces::default(), containers).encode();
    refused_by("podset.contains_container", spec.as_bytes(), &set(vec![member("c-0", "api", b"")]));
    refused_by("podset.agrees", spec.as_bytes(), &set(vec![member("c-1", "other", b"")]));
    for image in [Digest::of(b"other"), Digest([0; 32])] {
        refused_by("podset.agrees", spec.as_bytes(), &set(vec![PodContainer { image_manifest: image, ..member("c-1", "api", b"") }]));
        refused_by("podset.agrees", spec.as_bytes(), &set(vec![PodContainer { image_config: image, ..member("c-1", "api", b"") }]));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), pod_set in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(appraise_bytes(&bytes, &pod_set).0, None);
    }

    #[test]
    fn no_altered_spec_panics(at in 0usize..4000, byte in any::<u8>(), cut in 0usize..4000) {
        let mut bytes = spec().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = appraise_bytes(&bytes, &pod_set().encode());
        bytes.truncate(cut % bytes.len());
        prop_assert_eq!(appraise_bytes(&bytes, &pod_set().encode()).0, None);
    }

    #[test]
    fn no_path_panics(destination in "[/.a-z~]{0,30}", source in "(/var/lib/kubelet/pods/p-1/|/run/containerd/)?[/.a-z~-]{0,40}") {
        let mut altered = spec();
        altered["mounts"] = json!([{"destination": destination, "source": source, "type": "bind"}]);
        prop_assert_eq!(claims_of(&altered, &pod_set()).mounts.len(), 1);
    }
}
