//! Landlock: files and ports of the network process (landlock(7)).
//!
//! Two rulesets, one upon the other, so that a kernel that lacks the second still enforces the first. Errors are what was found.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetStatus,
};

/// What the network process may read, each file or folder that there is: what the C library needs to look a host name up (resolv.conf(5), nsswitch.conf(5), hosts(5), gai.conf(5), host.conf(5)).
pub const READABLE: [&str; 6] =
    ["/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts", "/etc/gai.conf", "/etc/host.conf", "/run/systemd/resolve"];

/// Reads the files of [`READABLE`] that there are, and nothing else of any file system.
pub(super) fn only_what_names_need() -> Result<(), String> {
    let handled = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(said)?
        // What later kernels can deny as well.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))
        .map_err(said)?;
    let mut ruleset = handled.create().map_err(said)?;
    for path in READABLE.into_iter().filter(|path| Path::new(path).exists()) {
        let file = PathFd::new(path).map_err(|e| e.to_string())?;
        ruleset = ruleset.add_rule(PathBeneath::new(file, AccessFs::ReadFile)).map_err(said)?;
    }
    enforce(ruleset)
}

/// Connects to this TCP port, whoever listens there, and listens on none.
pub(super) fn only_port(port: u16) -> Result<(), String> {
    let handled =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessNet::from_all(ABI::V4)).map_err(said)?;
    enforce(handled.create().map_err(said)?.add_rule(NetPort::new(port, AccessNet::ConnectTcp)).map_err(said)?)
}

fn enforce(ruleset: RulesetCreated) -> Result<(), String> {
    let status = ruleset.restrict_self().map_err(said)?;
    if status.ruleset == RulesetStatus::NotEnforced { Err("a kernel that does not enforce it".to_owned()) } else { Ok(()) }
}

fn said(error: landlock::RulesetError) -> String {
    std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source()).last().map(ToString::to_string).unwrap_or_default()
}
