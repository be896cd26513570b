//! What a kubelet touches of the machine outside its own folder. In the sandbox it meets stand-ins, which vanish with the sandbox.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{BenchError, run};
use crate::sandbox;

/// Kernel settings, of the whole machine, that a kubelet makes unless it finds them made: it is shown files with these.
const SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Lays stand-ins, kept in `dir` (made new), over the machine's, and gives the loopback device the address of the control plane and a route to `services`,
/// which are nobody's addresses: without one a packet to them is refused before the filter's rules see it.
pub(super) fn cover(dir: &Path, address: &str, services: &str) -> Result<(), BenchError> {
    if !sandbox::inside() {
        return Err(BenchError::answer("the process", "the machine's own namespaces", "the sandbox's: a kubelet changes what it runs on"));
    }
    let folder = |name: &str| {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(BenchError::io(format!("make {}", path.display())))?;
        Ok::<_, BenchError>(path)
    };
    // /var/log/containers and /var/lib/kubelet/device-plugins are written in the kubelet's source.
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/var/log"]))?;
    let layers = format!("lowerdir=/var/lib,upperdir={},workdir={}", folder("lib")?.display(), folder("lib-work")?.display());
    run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers, "/var/lib"]))?;
    let settings = folder("settings")?;
    for (setting, value) in SETTINGS {
        let stand_in = settings.join(setting.replace('/', "."));
        fs::write(&stand_in, value).map_err(BenchError::io(format!("write {}", stand_in.display())))?;
        run(Command::new("mount").arg("--bind").arg(&stand_in).arg(Path::new("/proc/sys").join(setting)))?;
    }
    add_address(address)?;
    run(Command::new("ip").args(["route", "add", services, "dev", "lo", "src", address])).map(drop)
}

/// Gives the sandbox's loopback device one more address. A kubelet takes no address of 127.0.0.0/8 for its node's.
pub(super) fn add_address(address: &str) -> Result<(), BenchError> {
    run(Command::new("ip").args(["address", "add", &format!("{address}/32"), "dev", "lo"])).map(drop)
}

/// Makes a folder, new, a mount point whose mounts reach containers that were started before, and theirs the node: as systemd makes the root of real nodes.
pub(super) fn share(folder: &Path) -> Result<(), BenchError> {
    fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
    run(Command::new("mount").arg("--bind").args([folder, folder]))?;
    run(Command::new("mount").arg("--make-rshared").arg(folder)).map(drop)
}
