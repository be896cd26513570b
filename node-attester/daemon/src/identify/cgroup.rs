//! From a process's cgroups to the runtime's id of its container.
//!
//! The id is a hint: a process that may make cgroups can choose their names. What counts is that the runtime then names this very
//! process as the init of that container.

/// The container that the lines of `/proc/PID/cgroup` name (cgroups(7)), v1, v2 or both; `None` when they name none, or disagree.
///
/// Runtimes name a container's cgroup `ID`, `RUNTIME-ID.scope` or `SLICE:RUNTIME:ID`, with an id of 64 hexadecimal digits. The innermost
/// one counts, so that a runtime inside a container is the one to be asked.
#[must_use]
pub fn container_of(cgroups: &str) -> Option<String> {
    let mut found: Option<&str> = None;
    // Each line is HIERARCHY:CONTROLLERS:PATH; a hierarchy that the runtime does not use names no container.
    for path in cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        if let Some(id) = path.rsplit('/').find_map(id_in) {
            if found.is_some_and(|other| other != id) {
                return None;
            }
            found = Some(id);
        }
    }
    found.map(str::to_owned)
}

fn id_in(component: &str) -> Option<&str> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let id = name.rsplit(['-', ':']).next()?;
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::container_of;

    const ID: &str = "4f1b0c3d5e7f90123456789abcdef0123456789abcdef0123456789abcdef012";
    const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    fn found(cgroups: &str) -> Option<String> {
        container_of(&cgroups.replace("OTHER", OTHER).replace("ID", ID))
    }

    #[test]
    fn v1_v2_and_hybrid() {
        for cgroups in [
            "0::/kubepods/besteffort/pod1234/ID\n",
            "0::/kubepods.slice/kubepods-pod1234.slice/cri-containerd-ID.scope\n",
            "0::/kubepods.slice/kubepods-pod1234.slice/crio-ID.scope/init\n",
            "0::/system.slice:cri-containerd:ID\n",
            "0::/../../pod1234/ID\n",
            "12:pids:/kubepods/pod1234/ID\n1:name=systemd:/kubepods/pod1234/ID\n",
            "12:pids:/kubepods/pod1234/ID\n3:misc:/\n0::/\n",
            "12:cpu,cpuacct:/k8s.io/ID\n0::/system.slice/containerd.service\n",
            "0::/kubepods/pod1234/OTHER/kubepods/pod9/ID\n",
        ] {
            assert_eq!(found(cgroups).as_deref(), Some(ID), "{cgroups}");
        }
    }

    #[test]
    fn no_container() {
        for cgroups in [
            "",
            "0::/\n",
            "0::/user.slice/user-1000.slice/session-1.scope\n",
            "0::/kubepods/pod1234/IDab\n",
            "0::/kubepods/pod1234/4F1B0C3D5E7F90123456789ABCDEF0123456789ABCDEF0123456789ABCDEF012\n",
            "12:pids:/pod/ID\n11:cpu:/pod/OTHER\n",
            "nonsense ID",
        ] {
            assert_eq!(found(cgroups), None, "{cgroups}");
        }
    }
}
