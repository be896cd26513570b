//! Whether a container amounts to root on its node.

use super::spec::{Device, DeviceRule, Linux};

/// Capabilities that alone suffice to leave a container (capabilities(7)): mounting, modules, raw memory, open_by_handle_at, BPF.
const AS_GOOD_AS_ROOT: &[&str] = &["ALL", "CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_DAC_READ_SEARCH", "CAP_BPF"];

/// Kernel settings that belong to the whole node; runtimes mount them read-only in every container but privileged ones.
const SETTINGS_OF_THE_NODE: &[&str] = &["/proc/sys", "/proc/sysrq-trigger"];

/// All devices, a capability as good as root, or the node's kernel settings writable.
pub(super) fn is_privileged(linux: &Linux<'_>, capabilities: &[String]) -> bool {
    let rules = linux.resources.as_ref().and_then(|resources| resources.devices.as_deref()).unwrap_or_default();
    let read_only = linux.read_only_paths.as_deref().unwrap_or_default();
    allows_all_devices(rules)
        || capabilities.iter().any(|capability| AS_GOOD_AS_ROOT.contains(&capability.as_str()))
        || !SETTINGS_OF_THE_NODE.iter().all(|path| read_only.iter().any(|r| **r == **path))
}

/// OCI runtime specification, config-linux.md, Allowed device list: entries apply in order. A list that does not begin by denying
/// everything leaves what the parent group allows, so it counts as all.
fn allows_all_devices(rules: &[DeviceRule<'_>]) -> bool {
    let wild = |number: Option<i64>| number.is_none_or(|n| n < 0);
    let any_kind = |rule: &DeviceRule<'_>| matches!(rule.kind.as_deref(), None | Some("" | "a"));
    rules.iter().fold(true, |all, rule| {
        let every = any_kind(rule) && wild(rule.major) && wild(rule.minor);
        if rule.allow == Some(true) {
            let reads_or_writes = rule.access.as_deref().is_none_or(|access| access.is_empty() || access.contains(['r', 'w']));
            let disks = rule.kind.as_deref() == Some("b") && wild(rule.minor);
            all || every || (reads_or_writes && (wild(rule.major) || disks))
        } else {
            let whole = rule.access.as_deref().is_none_or(|access| access.is_empty() || "rwm".chars().all(|c| access.contains(c)));
            all && !(every && whole)
        }
    })
}

/// `linux.devices`, sorted.
pub(super) fn devices(devices: &[Device<'_>]) -> Vec<String> {
    let mut paths: Vec<String> = devices.iter().map(|device| device.path.as_deref().unwrap_or_default().to_owned()).collect();
    paths.sort();
    paths
}
