//! The control groups of a run's containers: one parent per node, named after the run, so that a sweep finds them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::BenchError;

const ROOT: &str = "/sys/fs/cgroup";
/// What a kubelet divides among pods, where the machine has it.
const DELEGATED: [&str; 5] = ["cpu", "cpuset", "memory", "hugetlb", "pids"];

/// The parent of everything that `node` of `run` starts, as CRI's `cgroup_parent` wants it. Nodes share no group: one's sweep cannot meet another's start.
pub(crate) fn parent(run: &str, node: &str) -> String {
    format!("/podseal-bench-{run}-{node}")
}

/// Makes `parent` in every hierarchy: whoever expects it there finds it, with the controllers that the machine has.
pub(crate) fn make(parent: &str) -> Result<(), BenchError> {
    let root = Path::new(ROOT);
    let controllers = root.join("cgroup.controllers");
    let one = controllers.exists();
    if one {
        let there = fs::read_to_string(&controllers).map_err(BenchError::io(format!("read {}", controllers.display())))?;
        let wanted =
            there.split_whitespace().filter(|controller| DELEGATED.contains(controller)).map(|controller| format!("+{controller}"));
        let subtree = root.join("cgroup.subtree_control");
        fs::write(&subtree, wanted.collect::<Vec<_>>().join(" ")).map_err(BenchError::io(format!("write {}", subtree.display())))?;
    }
    for hierarchy in if one { vec![root.to_path_buf()] } else { subfolders(root) } {
        let group = hierarchy.join(parent.trim_start_matches('/'));
        fs::create_dir_all(&group).map_err(BenchError::io(format!("make {}", group.display())))?;
    }
    Ok(())
}

/// Removes the empty groups of all of a run's nodes. The kernel keeps those with processes.
pub(crate) fn sweep(run: &str) {
    let prefix = parent(run, "");
    let of_run =
        |folder: &PathBuf| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix.trim_start_matches('/')));
    for folder in hierarchies().iter().flat_map(|hierarchy| subfolders(hierarchy)).filter(of_run) {
        remove(&folder);
    }
}

/// Removes the empty groups from `parent` (a path without the mount point) downwards.
pub(crate) fn sweep_below(parent: &str) {
    for folder in hierarchies().iter().map(|hierarchy| hierarchy.join(parent.trim_start_matches('/'))).filter(|folder| folder.is_dir()) {
        remove(&folder);
    }
}

/// Where groups may lie: v2's one hierarchy, or each of v1's below it.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(ROOT);
    subfolders(&root).into_iter().chain([root]).collect()
}

fn remove(folder: &Path) {
    for child in subfolders(folder) {
        remove(&child);
    }
    let _busy_ones_stay = fs::remove_dir(folder);
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}
