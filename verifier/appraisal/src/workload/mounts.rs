//! Mounts as claims: what kind of source stands behind each, without the paths that differ per pod.

use super::spec::SpecMount;
use crate::claims::Mount;

/// Directories on the nodes whose contents kubelet, container runtime and node attester make. Only below them a source is anything but
/// `hostPath`. They come from the verifier's configuration, never from evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSources {
    kubelet: String,
    runtime: Vec<String>,
    attester: Vec<String>,
}

/// A directory that is not written in the one form that is compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("directory {0:?} of the nodes: wanted an absolute path without a trailing slash and without empty, . or .. parts")]
pub struct PathNotPlain(pub String);

impl MountSources {
    /// `kubelet`: the kubelet's root directory (`/var/lib/kubelet`). `runtime`: containerd's root and state directories
    /// (`/var/lib/containerd`, `/run/containerd`). `attester`: directories that the node attester publishes below `/podseal`.
    ///
    /// # Errors
    /// [`PathNotPlain`].
    pub fn new(kubelet: String, runtime: Vec<String>, attester: Vec<String>) -> Result<Self, PathNotPlain> {
        match std::iter::once(&kubelet).chain(&runtime).chain(&attester).find(|path| !is_plain(path)) {
            Some(path) => Err(PathNotPlain(path.clone())),
            None => Ok(Self { kubelet, runtime, attester }),
        }
    }
}

/// The container whose mounts they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) pod_uid: &'a str,
    pub(super) container: &'a str,
    /// The runtime's id of the pod's sandbox; empty where the spec names none.
    pub(super) sandbox: &'a str,
}

const HOST_PATH: &str = "hostPath";

/// Normalises one mount. Everything that is not recognised for certain is `hostPath`.
pub(super) fn normalise(mount: &SpecMount<'_>, owner: Owner<'_>, sources: &MountSources) -> Mount {
    let destination = mount.destination.as_deref().unwrap_or_default();
    let options = mount.options.as_deref().unwrap_or_default();
    let is_bind = mount.kind.as_deref() == Some("bind") || options.iter().any(|o| matches!(&**o, "bind" | "rbind"));
    let kind = if !is_plain(destination) {
        None
    } else if is_bind {
        mount.source.as_deref().filter(|source| is_plain(source)).and_then(|source| bind(destination, source, owner, sources))
    } else {
        of_kernel(destination, mount.kind.as_deref().unwrap_or_default())
    };
    // mount(8): of "ro" and "rw" the last one counts.
    let read_only = options.iter().rev().find(|o| matches!(&***o, "ro" | "rw")).is_some_and(|o| **o == *"ro");
    Mount { destination: destination.to_owned(), kind: kind.unwrap_or(HOST_PATH).to_owned(), read_only }
}

/// OCI runtime specification, config-linux.md, Default filesystems, and what containerd adds to them.
fn of_kernel(destination: &str, kind: &str) -> Option<&'static str> {
    const FILE_SYSTEMS: &[(&str, &[&str])] = &[
        ("/proc", &["proc"]),
        ("/sys", &["sysfs"]),
        ("/sys/fs/cgroup", &["cgroup", "cgroup2"]),
        ("/dev", &["tmpfs"]),
        ("/dev/pts", &["devpts"]),
        ("/dev/shm", &["tmpfs"]),
        ("/dev/mqueue", &["mqueue"]),
    ];
    FILE_SYSTEMS.iter().any(|(place, kinds)| *place == destination && kinds.contains(&kind)).then_some("kernel")
}

fn bind(destination: &str, source: &str, owner: Owner<'_>, sources: &MountSources) -> Option<&'static str> {
    let by_kubelet = || of_kubelet(destination, below(source, &sources.kubelet)?, owner);
    let by_runtime = || sources.runtime.iter().find_map(|root| of_sandbox(destination, below(source, root)?, owner));
    let by_attester = || {
        let place = destination == "/podseal" || below(destination, "/podseal").is_some();
        let published = sources.attester.iter().any(|root| source == root || below(source, root).is_some());
        (place && published).then_some("podseal")
    };
    by_kubelet().or_else(by_runtime).or_else(by_attester)
}

/// `pods/UID/volumes/PLUGIN/VOLUME`, `pods/UID/etc-hosts` and `pods/UID/containers/CONTAINER/FILE` (kubelet, `kubelet_getters.go`), of this
/// pod's uid only. Sub-paths of volumes are mounted from elsewhere and stay `hostPath`: their volume cannot be told.
fn of_kubelet(destination: &str, path: &str, owner: Owner<'_>) -> Option<&'static str> {
    let (uid, path) = path.strip_prefix("pods/")?.split_once('/')?;
    if uid != owner.pod_uid {
        return None;
    }
    if path == "etc-hosts" {
        return (destination == "/etc/hosts").then_some("hosts");
    }
    if let Some(log) = path.strip_prefix("containers/") {
        let (container, file) = log.split_once('/')?;
        return (container == owner.container && !file.contains('/')).then_some("hosts");
    }
    let (plugin, volume) = path.strip_prefix("volumes/")?.split_once('/')?;
    if plugin == "kubernetes.io~csi" {
        return volume.strip_suffix("/mount").is_some_and(|name| !name.contains('/')).then_some("csi");
    }
    if volume.contains('/') {
        return None;
    }
    match plugin {
        "kubernetes.io~projected" => Some("projected"),
        "kubernetes.io~configmap" => Some("configMap"),
        "kubernetes.io~secret" => Some("secret"),
        "kubernetes.io~empty-dir" => Some("emptyDir"),
        "kubernetes.io~downward-api" => Some("downwardAPI"),
        _ => None,
    }
}

/// `io.containerd.grpc.v1.cri/sandboxes/ID/FILE` below containerd's root or state directory, of this pod's sandbox only.
fn of_sandbox(destination: &str, path: &str, owner: Owner<'_>) -> Option<&'static str> {
    let (sandbox, file) = path.strip_prefix("io.containerd.grpc.v1.cri/sandboxes/")?.split_once('/')?;
    if sandbox != owner.sandbox {
        return None;
    }
    match (destination, file) {
        ("/etc/hosts", "hosts") | ("/etc/hostname", "hostname") | ("/etc/resolv.conf", "resolv.conf") => Some("hosts"),
        ("/dev/shm", "shm") => Some("kernel"),
        _ => None,
    }
}

fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    path.strip_prefix(directory)?.strip_prefix('/')
}

/// Whether `path` is absolute and has one reading only.
fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

#[cfg(test)]
mod tests;
