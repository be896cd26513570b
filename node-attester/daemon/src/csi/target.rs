//! Where the kubelet wants a volume: `KUBELET/pods/UID/volumes/kubernetes.io~csi/NAME/mount`, and nowhere else.

use std::path::{Component, Path, PathBuf};

/// Longest name of a folder that is taken, in bytes.
const LONGEST: usize = 253;

/// A target path that is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) pod_uid: String,
}

impl Target {
    /// `None` where `path` is no target of a pod below `kubelet`.
    pub(super) fn parse(path: &str, kubelet: &Path) -> Option<Self> {
        let path = PathBuf::from(path);
        let below = path.strip_prefix(kubelet).ok()?;
        let names = below.components().map(|part| match part {
            Component::Normal(name) => name.to_str().filter(|name| is_plain(name)),
            _ => None,
        });
        let names = names.collect::<Option<Vec<_>>>()?;
        let ["pods", pod_uid, "volumes", "kubernetes.io~csi", _, "mount"] = names.as_slice() else { return None };
        let pod_uid = (*pod_uid).to_owned();
        Some(Self { path, pod_uid })
    }
}

/// A name that stands for itself, as a folder and as a file.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    (1..=LONGEST).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_the_kubelet_alone() {
        let parse = |path: &str| Target::parse(path, Path::new("/var/lib/kubelet")).map(|target| target.pod_uid);
        let good = "/var/lib/kubelet/pods/6f1c-4a52/volumes/kubernetes.io~csi/podseal/mount";
        assert_eq!(parse(good).as_deref(), Some("6f1c-4a52"));
        for bad in [
            "",
            "/",
            "/etc",
            "pods/6f1c/volumes/kubernetes.io~csi/podseal/mount",
            "/var/lib/kubelet/pods/6f1c/volumes/kubernetes.io~csi/podseal/mount/more",
            "/var/lib/kubelet/pods/6f1c/volumes/kubernetes.io~csi/podseal",
            "/var/lib/kubelet/pods/6f1c/volumes/kubernetes.io~secret/podseal/mount",
            "/var/lib/kubelet/pods/../volumes/kubernetes.io~csi/podseal/mount",
            "/var/lib/kubelet/pods/6f1c/volumes/kubernetes.io~csi/../mount",
            "/var/lib/kubelet/pods/.6f1c/volumes/kubernetes.io~csi/podseal/mount",
            "/var/lib/kubelet2/pods/6f1c/volumes/kubernetes.io~csi/podseal/mount",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(!is_plain(&"a".repeat(254)) && !is_plain("a/b") && !is_plain("a b"));
    }
}
