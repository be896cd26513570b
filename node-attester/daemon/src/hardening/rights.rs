//! User, groups, capabilities, core dumps (credentials(7), capabilities(7)).

use podseal_protocol::require;
use rustix::{
    process::{
        DumpableBehavior, Gid, Resource, Rlimit, Uid, getegid, geteuid, getgid, getgroups, getuid, set_dumpable_behavior, setrlimit,
    },
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::{HardeningError, system};

/// What the privileged process does with each: setns(2) and mount(2) of the place for secrets; setns(2) once more; `/proc/PID/exe` and the
/// mount namespace of containers' processes, whoever they run as.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::SYS_CHROOT).union(CapabilitySet::SYS_PTRACE);

/// The user that the network process runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Its number; never 0.
    pub uid: u32,
    /// Its group; never 0.
    pub gid: u32,
}

/// No image of this process's memory is written, and no process of the same user attaches to it (prctl(2), setrlimit(2)). A change of user would undo
/// it.
pub(super) fn without_core_dumps() -> Result<(), HardeningError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system("PR_SET_DUMPABLE"))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(system("RLIMIT_CORE"))
}

/// Another user, no other groups, no capabilities in any set (the ambient one empties with the inheritable), none to come by execve(2). Who
/// is that user already is only checked.
pub(super) fn become_user(User { uid, gid }: User) -> Result<(), HardeningError> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if geteuid().is_root() {
        limit_bounding_set(CapabilitySet::empty())?;
        set_thread_groups(&[]).map_err(system("setgroups"))?;
        set_thread_res_gid(gid, gid, gid).map_err(system("setresgid"))?;
        set_thread_res_uid(uid, uid, uid).map_err(system("setresuid"))?;
    }
    let none = CapabilitySets { effective: CapabilitySet::empty(), permitted: CapabilitySet::empty(), inheritable: CapabilitySet::empty() };
    set_capabilities(None, none).map_err(system("capset"))?;
    set_no_new_privs(true).map_err(system("PR_SET_NO_NEW_PRIVS"))?;

    let is = (getuid(), geteuid(), getgid(), getegid(), getgroups().map_err(system("getgroups"))?);
    let rights = |what, found, wanted| HardeningError::Rights { what, found, wanted };
    let (found, wanted) = (format!("{is:?}"), format!("uid {}, gid {}, no other group", uid.as_raw(), gid.as_raw()));
    require(!uid.is_root() && is == (uid, uid, gid, gid, Vec::new()), rights("user of the network process", found, wanted))?;
    let bounding = bounding_set()?;
    require(bounding.is_empty(), rights("capability bounding set", format!("{bounding:?}"), "none".to_owned()))
}

/// Only [`KEPT`], in every set.
pub(super) fn keep_few() -> Result<(), HardeningError> {
    let permitted = capabilities(None).map_err(system("capget"))?.permitted;
    let lacking = HardeningError::Rights {
        what: "capabilities of the privileged process",
        found: format!("{permitted:?}"),
        wanted: format!("at least {KEPT:?}, and SETPCAP to give the others up"),
    };
    require(permitted.contains(KEPT), lacking)?;
    limit_bounding_set(KEPT)?;
    let few = CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: CapabilitySet::empty() };
    set_capabilities(None, few).map_err(system("capset"))?;
    set_no_new_privs(true).map_err(system("PR_SET_NO_NEW_PRIVS"))
}

/// Capabilities that this kernel knows; asking for another is an error (prctl(2), `PR_CAPBSET_READ`).
fn bounding_set() -> Result<CapabilitySet, HardeningError> {
    let mut found = CapabilitySet::empty();
    for capability in CapabilitySet::all() {
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            found |= capability;
        }
    }
    Ok(found)
}

fn limit_bounding_set(kept: CapabilitySet) -> Result<(), HardeningError> {
    for capability in bounding_set()?.difference(kept) {
        remove_capability_from_bounding_set(capability).map_err(system("PR_CAPBSET_DROP"))?;
    }
    Ok(())
}
