//! Where a bench runs: a process re-executes itself in PID, mount and network namespaces, so that all it starts ends with it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::error::BenchError;

const MARK: &str = "PODSEAL_BENCH_SANDBOX";
const SCRATCH: &str = "/run/podseal";

/// What the bench runs, and Debian's package for each.
const TOOLS: [(&str, &str); 10] = [
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("swtpm", "swtpm"),
    ("swtpm_setup", "swtpm-tools"),
    ("swtpm_localca", "swtpm-tools"),
    ("tpm2_eventlog", "tpm2-tools"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
];

/// `sh` stays PID 1: it outlives its one child only to hand on the exit status, and it collects orphans.
const INIT: &str = r#"ip link set lo up && mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/podseal /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni || exit 99
"$@"; exit $?"#;

/// Why no bench can run here, if so: each reason with its remedy.
pub fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("containers and namespaces need root: run it as root".into());
    }
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| find_program(tool).is_none()) {
        return Some(format!("{tool} is missing: install {package}, or run scripts/setup"));
    }
    if let Some(reason) = crate::hardware::kernel::GuestKernel::obstacle() {
        return Some(format!("{reason}: load the kernel's fuse module (modprobe fuse), by which tests play a guest's kernel"));
    }
    let plugins = Path::new(crate::containerd::CNI_PLUGINS);
    let absent = ["ptp", "host-local", "loopback"].iter().find(|plugin| !plugins.join(plugin).exists())?;
    Some(format!("the CNI plug-in {absent} is missing in {}: install containernetworking-plugins, or run scripts/setup", plugins.display()))
}

/// Whether this process already runs in its own namespaces.
pub fn inside() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs this program again, same arguments, in namespaces of its own, and gives its exit code when all of it is gone. Call it from the main thread:
/// should that end early, for whatever reason, the kernel ends the namespaces and everything in them.
pub fn enter() -> Result<ExitCode, BenchError> {
    let own = std::env::current_exe().map_err(BenchError::io("find the own program"))?;
    let run = random_name()?;
    let status = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--pid",
            "--mount",
            "--mount-proc",
            "--net",
            "--fork",
            "--kill-child",
            "--",
            "sh",
            "-c",
            INIT,
            "sh",
        ])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .env(MARK, &run)
        // The TPM software stack complains by itself of each TPM that a test takes away.
        .env("TSS2_LOG", "all+none")
        .status()
        .map_err(BenchError::io("run setpriv and unshare"))?;
    crate::cgroups::sweep(&run);
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
}

/// The name of this run: the sandbox's, or a new one outside.
pub fn run_name() -> Result<String, BenchError> {
    std::env::var(MARK).map_or_else(|_| random_name(), Ok)
}

/// A name that no other run has.
pub fn random_name() -> Result<String, BenchError> {
    let mut bytes = [0; 6];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| BenchError::answer("the random generator", "nothing", "random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A password that was never used before: 128 random bits in hexadecimal digits.
pub fn random_password() -> Result<String, BenchError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| BenchError::answer("the random generator", "nothing", "random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A new empty folder for one run. Inside the namespaces it lies on their own tmpfs and vanishes with them; outside it is a temporary folder that the value removes.
#[derive(Debug)]
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    /// Makes the folder. Its path is short: sockets in it must fit into 107 bytes.
    pub fn new() -> Result<Self, BenchError> {
        let parent = if inside() { PathBuf::from(SCRATCH) } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("podseal-").tempdir_in(&parent);
        Ok(Self { dir: dir.map_err(BenchError::io(format!("make a folder in {}", parent.display())))? })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Looks a program up in `PATH` and in the system folders that a user's `PATH` may lack.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}
