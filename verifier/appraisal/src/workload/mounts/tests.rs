#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;

const POD: &str = "/var/lib/kubelet/pods/p-1";
const SANDBOX: &str = "io.containerd.grpc.v1.cri/sandboxes/sb-1";

fn kind(mount: serde_json::Value) -> String {
    let text = mount.to_string();
    let owner = Owner { pod_uid: "p-1", container: "api", sandbox: "sb-1" };
    normalise(&crate::json::parse(text.as_bytes()).unwrap(), owner, &sources()).kind
}

fn sources() -> MountSources {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    MountSources::new(
        "/var/lib/kubelet".to_owned(),
        owned(&["/var/lib/containerd", "/run/containerd"]),
        owned(&["/var/lib/podseal/publish"]),
    )
    .unwrap()
}

fn bound(destination: &str, source: &str) -> String {
    kind(json!({"destination": destination, "source": source, "type": "bind", "options": ["rbind", "ro"]}))
}

#[test]
fn what_the_kubelet_mounts() {
    for (plugin, kind) in [
        ("projected", "projected"),
        ("configmap", "configMap"),
        ("secret", "secret"),
        ("empty-dir", "emptyDir"),
        ("downward-api", "downwardAPI"),
        ("nfs", "hostPath"),
    ] {
        assert_eq!(bound("/data", &format!("{POD}/volumes/kubernetes.io~{plugin}/v")), kind);
    }
    assert_eq!(bound("/podseal", &format!("{POD}/volumes/kubernetes.io~csi/podseal/mount")), "csi");
    assert_eq!(bound("/etc/hosts", &format!("{POD}/etc-hosts")), "hosts");
    assert_eq!(bound("/dev/termination-log", &format!("{POD}/containers/api/5fd2")), "hosts");
}

#[test]
fn what_the_runtime_and_the_attester_mount() {
    assert_eq!(bound("/etc/hostname", &format!("/var/lib/containerd/{SANDBOX}/hostname")), "hosts");
    assert_eq!(bound("/etc/resolv.conf", &format!("/var/lib/containerd/{SANDBOX}/resolv.conf")), "hosts");
    assert_eq!(bound("/dev/shm", &format!("/run/containerd/{SANDBOX}/shm")), "kernel");
    assert_eq!(bound("/podseal", "/var/lib/podseal/publish"), "podseal");
    assert_eq!(bound("/podseal/secrets", "/var/lib/podseal/publish/c-1"), "podseal");
    for (destination, of) in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"), ("/dev/mqueue", "mqueue")] {
        assert_eq!(kind(json!({"destination": destination, "type": of, "source": of, "options": ["nosuid"]})), "kernel");
    }
    assert_eq!(kind(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})), "kernel");
}

#[test]
fn a_host_path_that_looks_alike() {
    let spoofs = [
        ("/data", "/var/lib/kubelet/pods/p-2/volumes/kubernetes.io~projected/v".to_owned()),
        ("/data", "/var/lib/kubelet/pods/p-11/volumes/kubernetes.io~projected/v".to_owned()),
        ("/data", "/var/lib/kubelet2/pods/p-1/volumes/kubernetes.io~projected/v".to_owned()),
        ("/data", "/mnt/var/lib/kubelet/pods/p-1/volumes/kubernetes.io~projected/v".to_owned()),
        ("/data", format!("{POD}/volumes/kubernetes.io~projected")),
        ("/data", format!("{POD}/volumes/kubernetes.io~projected/")),
        ("/data", format!("{POD}/volumes/kubernetes.io~projected/v/..")),
        ("/data", format!("{POD}/volumes/kubernetes.io~projected/v/../../../../../../../etc")),
        ("/data", format!("{POD}/volumes/kubernetes.io~projected/v/sub")),
        ("/data", format!("{POD}/volumes/kubernetes.io~projected/./v")),
        ("/data", format!("{POD}//volumes/kubernetes.io~projected/v")),
        ("/data", format!("{POD}/volumes/kubernetes.io~csi/v")),
        ("/data", format!("{POD}/volumes/kubernetes.io~csi/v/w/mount")),
        ("/data", format!("{POD}/volume-subpaths/v/api/0")),
        ("/data", format!("{POD}/etc-hosts")),
        ("/log", format!("{POD}/containers/sidecar/5fd2")),
        ("/log", format!("{POD}/containers/api/5fd2/x")),
        ("/etc/hosts", format!("/var/lib/containerd/{SANDBOX}/resolv.conf")),
        ("/etc/hosts", "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/sb-2/hosts".to_owned()),
        ("/dev/shm", "/dev/shm".to_owned()),
        ("/etc/hostname", "/etc/hostname".to_owned()),
        ("/podseal", "/var/lib/podseal/publish2".to_owned()),
        ("/podseal", "/var/lib/podseal".to_owned()),
        ("/podsealed", "/var/lib/podseal/publish".to_owned()),
        ("/usr/lib", "/var/lib/podseal/publish".to_owned()),
        ("/podseal/../etc", "/var/lib/podseal/publish".to_owned()),
        ("/proc", "/proc".to_owned()),
    ];
    for (destination, source) in spoofs {
        assert_eq!(bound(destination, &source), "hostPath", "{destination} from {source}");
    }
}

#[test]
fn a_bind_mount_that_calls_itself_a_file_system() {
    for options in [json!(["rbind"]), json!(["ro", "bind"])] {
        assert_eq!(kind(json!({"destination": "/proc", "type": "proc", "source": "/etc", "options": options})), "hostPath");
    }
    assert_eq!(kind(json!({"destination": "/mnt", "type": "proc", "source": "proc"})), "hostPath");
    assert_eq!(kind(json!({"destination": "/proc", "type": "ext4", "source": "/dev/sda1"})), "hostPath");
    assert_eq!(kind(json!({})), "hostPath");
}

#[test]
fn an_empty_uid_or_sandbox_matches_nothing() {
    let owner = Owner { pod_uid: "", container: "", sandbox: "" };
    for source in ["/var/lib/kubelet/pods//etc-hosts", "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes//hosts"] {
        let text = json!({"destination": "/etc/hosts", "source": source, "type": "bind"}).to_string();
        assert_eq!(normalise(&crate::json::parse(text.as_bytes()).unwrap(), owner, &sources()).kind, "hostPath");
    }
}

#[test]
fn read_only_is_what_the_last_option_says() {
    for (options, read_only) in
        [(json!(["ro"]), true), (json!(["rbind"]), false), (json!(["ro", "rw"]), false), (json!(["rw", "ro"]), true)]
    {
        let text = json!({"destination": "/data", "source": "/x", "type": "bind", "options": options}).to_string();
        let owner = Owner { pod_uid: "p-1", container: "api", sandbox: "sb-1" };
        assert_eq!(normalise(&crate::json::parse(text.as_bytes()).unwrap(), owner, &sources()).read_only, read_only, "{options}");
    }
}

#[test]
fn directories_must_be_plain() {
    for path in ["", "relative", "/var/lib/", "/var//lib", "/var/../etc", "/"] {
        assert!(MountSources::new(path.to_owned(), Vec::new(), Vec::new()).is_err(), "{path}");
        assert!(MountSources::new("/a".to_owned(), vec![path.to_owned()], Vec::new()).is_err(), "{path}");
        assert!(MountSources::new("/a".to_owned(), Vec::new(), vec![path.to_owned()]).is_err(), "{path}");
    }
}
