//! The place of the secrets: a tmpfs at `/podseal/secrets` in the container's own mount namespace. It shows in no mount table of the node.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
        fsmount, fsopen, move_mount, unmount,
    },
    process::fchdir,
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};
use tokio::sync::oneshot;

use crate::identify::Peer;

/// Where launchers write.
pub const SECRETS: &str = "/podseal/secrets";
/// Files in it, at most: each secret once while it is written and once when it is there, and the folder.
const INODES: u32 = 256;
/// A thread that makes a handful of system calls.
const STACK: usize = 128 << 10;

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
#[error("tmpfs at {SECRETS} of the container: {step}: {problem}")]
pub struct PlaceError {
    step: &'static str,
    problem: io::Error,
}

fn at<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> PlaceError {
    move |problem| PlaceError { step, problem: problem.into() }
}

/// A tmpfs that was mounted into a container.
#[derive(Debug)]
pub struct Place {
    pidfd: OwnedFd,
    device: u64,
}

impl Place {
    /// Mounts a tmpfs of `bytes` that only the container's user can use.
    ///
    /// # Errors
    /// Which step failed; nothing is mounted then.
    pub async fn mount(peer: &Peer, bytes: u64) -> Result<Self, PlaceError> {
        let pidfd = peer.pidfd().try_clone().map_err(at("pidfd"))?;
        let tmpfs = tmpfs(peer.owner(), bytes)?;
        let device = fstat(&tmpfs).map_err(at("fstat"))?.st_dev;
        let place = Self { pidfd, device };
        place
            .inside(move || {
                let target = open_target()?;
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
                move_mount(&tmpfs, "", &target, "", flags).map_err(at("move_mount"))
            })
            .await?;
        Ok(place)
    }

    /// Unmounts it, where nothing was handed over.
    ///
    /// # Errors
    /// Which step failed; that the container has ended is none.
    pub async fn unmount(self) -> Result<(), PlaceError> {
        let device = self.device;
        self.inside(move || {
            let target = open_target()?;
            if fstat(&target).map_err(at("fstat"))?.st_dev != device {
                return Ok(());
            }
            fchdir(&target).map_err(at("fchdir"))?;
            unmount(".", UnmountFlags::DETACH).map_err(at("umount2"))
        })
        .await
    }

    /// Runs `steps` in the container's mount namespace, on a thread of its own that ends with them.
    async fn inside(&self, steps: impl FnOnce() -> Result<(), PlaceError> + Send + 'static) -> Result<(), PlaceError> {
        let pidfd = self.pidfd.try_clone().map_err(at("pidfd"))?;
        let (done, result) = oneshot::channel();
        let thread = std::thread::Builder::new().name("place".to_owned()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            // setns(2): a thread that shares its file system attributes cannot enter a mount namespace.
            let entered = unshare(CloneFlags::CLONE_FS).map_err(at("unshare")).and_then(|()| {
                move_into_thread_name_spaces(pidfd.as_fd(), ThreadNameSpaceType::MOUNT).map_err(at("setns (is the container gone?)"))
            });
            drop(done.send(entered.and_then(|()| steps())));
        });
        spawned.map_err(at("thread"))?;
        result.await.map_err(|_| PlaceError { step: "thread", problem: io::ErrorKind::BrokenPipe.into() })?
    }
}

/// The mount point, without following anything that the container could have put in the way (openat2(2)).
fn open_target() -> Result<OwnedFd, PlaceError> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(CWD, SECRETS, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve).map_err(at("open"))
}

/// A tmpfs that is mounted nowhere yet (tmpfs(5), fsopen(2)).
fn tmpfs((uid, gid): (u32, u32), bytes: u64) -> Result<OwnedFd, PlaceError> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("fsopen"))?;
    let options = [
        ("source", "podseal".to_owned()),
        ("size", bytes.to_string()),
        ("nr_inodes", INODES.to_string()),
        ("mode", "0700".to_owned()),
        ("uid", uid.to_string()),
        ("gid", gid.to_string()),
    ];
    for (key, value) in options {
        fsconfig_set_string(&context, key, value).map_err(at(key))?;
    }
    // Linux 6.4 and later keep such a tmpfs out of swap.
    if fsconfig_set_flag(&context, "noswap").is_err() {
        tracing::warn!("this kernel has no noswap tmpfs: secrets may reach swap where swap is on");
    }
    fsconfig_create(&context).map_err(at("fsconfig"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(at("fsmount"))
}
