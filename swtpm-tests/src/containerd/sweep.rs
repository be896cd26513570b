//! Ends what a runtime leaves behind: its shims outlive it by design, and so do their containers and mounts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

const LONGEST_DEATH: Duration = Duration::from_secs(5);

/// Kills a daemon that is ours and collects it.
pub(super) fn kill(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// Kills a daemon that never became ready, and what it left in `dir`.
pub(super) fn end(mut process: Child, dir: &Path) {
    kill(&mut process);
    leftovers(dir);
}

/// Kills the shims that serve the runtime in `dir`, and the containers below them, then detaches every mount in `dir`.
pub(super) fn leftovers(dir: &Path) {
    let processes = [container_inits(dir), shims(dir)].concat();
    for pid in &processes {
        let _gone_already = kill_process(*pid, Signal::KILL);
    }
    let deadline = Instant::now() + LONGEST_DEATH;
    while processes.iter().any(|pid| exists(*pid)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    for socket in shim_sockets(dir) {
        let _gone_already = fs::remove_file(socket);
    }
    for mount in mounts_below(dir).iter().rev() {
        let _gone_already = unmount(mount, UnmountFlags::DETACH);
    }
}

/// Whether the process is there, or at least not collected yet: until then its control group can't be removed.
fn exists(pid: Pid) -> bool {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string()).exists()
}

fn tasks(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let namespaces = fs::read_dir(dir.join("state/io.containerd.runtime.v2.task")).into_iter().flatten().flatten();
    namespaces.flat_map(|namespace| fs::read_dir(namespace.path()).into_iter().flatten().flatten()).map(|entry| entry.path())
}

/// Each bundle's `init.pid`; the kernel kills the rest of a container's PID namespace with it.
fn container_inits(dir: &Path) -> Vec<Pid> {
    tasks(dir).filter_map(|bundle| fs::read_to_string(bundle.join("init.pid")).ok()?.trim().parse().ok().and_then(Pid::from_raw)).collect()
}

fn shim_sockets(dir: &Path) -> Vec<PathBuf> {
    tasks(dir).filter_map(|bundle| Some(fs::read_to_string(bundle.join("address")).ok()?.trim().strip_prefix("unix://")?.into())).collect()
}

/// The processes whose arguments name this runtime's own socket.
fn shims(dir: &Path) -> Vec<Pid> {
    let socket = dir.join("containerd.sock").display().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
            let arguments = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let mut words = arguments.split('\0');
            let shim = words.next()?.ends_with("containerd-shim-runc-v2");
            (shim && words.any(|word| word == socket)).then_some(pid)
        })
        .collect()
}

/// Mount points below `dir`, outermost first (proc(5), mountinfo field 5).
fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|mount| mount.starts_with(dir) && mount != dir)
        .collect()
}
