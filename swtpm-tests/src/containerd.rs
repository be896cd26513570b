//! A node's container runtime: a containerd of its own, with its own folders, sockets and pod network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cri::Cri;
use crate::error::{BenchError, run, wait_for};
use crate::image::{Image, Stored};
use crate::{cgroups, children, sandbox};

mod sweep;

/// Where Debian's containernetworking-plugins lie.
pub const CNI_PLUGINS: &str = "/usr/lib/cni";

/// How long the daemon may take until it answers.
const LONGEST_START: Duration = Duration::from_secs(20);
/// timeout(1)'s own exit code.
const TIMED_OUT: i32 = 124;
const PAUSE: &str = "podseal.test/pause";

/// A running containerd. With the value end the daemon, its shims, their containers, mounts, network namespaces and control groups.
#[derive(Debug)]
pub struct Containerd {
    dir: PathBuf,
    cgroup_parent: String,
    process: Mutex<Child>,
    cri: Cri,
    imports: Mutex<u32>,
}

/// What a command in a container wrote and how it ended.
#[derive(Clone, Debug)]
pub struct Executed {
    /// Its exit code; `None` when it had to be ended.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Containerd {
    /// Starts a runtime for `node` in `dir` (made new; keep the path short), with pods in `10.88.SUBNET.0/24`, and imports the pause image from the program `pause`.
    pub fn start(dir: &Path, node: &str, subnet: u8, pause: &Path) -> Result<Self, BenchError> {
        fs::create_dir_all(dir.join("cni")).map_err(BenchError::io(format!("make {}", dir.display())))?;
        write(&dir.join("config.toml"), &config(dir))?;
        write(&dir.join("cni/10-pods.conflist"), &network(dir, subnet))?;
        let process = spawn(dir)?;
        let socket = dir.join("containerd.sock");
        let cri = wait_for("containerd answers", LONGEST_START, || {
            let cri = Cri::connect(&socket).map_err(|error| error.to_string())?;
            cri.version().map_err(|error| error.to_string())?;
            Ok(cri)
        });
        let cgroup_parent = cgroups::parent(&sandbox::run_name()?, node);
        let cri = match cri {
            Ok(cri) => cri,
            Err(error) => {
                sweep::end(process, dir);
                return Err(error);
            }
        };
        let node = Self { dir: dir.to_path_buf(), cgroup_parent, process: Mutex::new(process), cri, imports: Mutex::new(0) };
        node.import(&Image::new(PAUSE, "1").program("/pause", pause).entrypoint(&["/pause"]))?;
        Ok(node)
    }

    /// The runtime's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("containerd.sock")
    }

    /// The node's folder; pods' logs lie below `logs`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.process().id()
    }

    /// The kubelet's side of the runtime.
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// The parent of this node's pods' control groups.
    pub fn cgroup_parent(&self) -> &str {
        &self.cgroup_parent
    }

    /// Builds an image and imports it, with its digests, so that CRI reports a repository digest. A tag that exists moves to the new image.
    pub fn import(&self, image: &Image) -> Result<Stored, BenchError> {
        let number = {
            let mut imports = self.imports.lock().unwrap_or_else(PoisonError::into_inner);
            *imports += 1;
            *imports
        };
        let file = self.dir.join(format!("image-{number}.tar"));
        let stored = image.write(&file)?;
        run(self.ctr().args(["images", "import", "--digests", "--base-name", image.repository()]).arg(&file))?;
        fs::remove_file(&file).map_err(BenchError::io(format!("remove {}", file.display())))?;
        Ok(stored)
    }

    /// Runs a command in a running container, as `kubectl exec` would, to its end; after `within` (whole seconds) it gets SIGTERM, then SIGKILL.
    pub fn exec(&self, container: &str, command: &[&str], within: Duration) -> Result<Executed, BenchError> {
        let id = sandbox::random_name()?;
        let mut timeout = Command::new("timeout");
        timeout.args(["--kill-after=2", &within.as_secs().to_string(), "ctr", "--namespace", "k8s.io", "--address"]).arg(self.socket());
        timeout.args(["tasks", "exec", "--exec-id", &id, "--fifo-dir"]).arg(self.dir.join("fifo")).arg(container).args(command);
        let output = timeout.stdin(Stdio::null()).output().map_err(BenchError::io("run timeout and ctr"))?;
        Ok(Executed {
            code: output.status.code().filter(|code| *code != TIMED_OUT),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Kills the daemon, does `meanwhile`, and starts it again; its containers run on.
    pub fn restart_while<T>(&self, meanwhile: impl FnOnce() -> T) -> Result<T, BenchError> {
        sweep::kill(&mut self.process());
        let done = meanwhile();
        *self.process() = spawn(&self.dir)?;
        wait_for("containerd answers again", LONGEST_START, || self.cri.version().map(drop).map_err(|error| error.to_string()))?;
        Ok(done)
    }

    /// Runs a container in another of containerd's namespaces than the kubelet's, detached.
    pub fn run_elsewhere(&self, namespace: &str, image: &Image, id: &str) -> Result<(), BenchError> {
        let file = self.dir.join(format!("{namespace}.tar"));
        let stored = image.write(&file)?;
        run(self.ctr_in(namespace).args(["images", "import", "--base-name", image.repository()]).arg(&file))?;
        let runc = sandbox::find_program("runc").unwrap_or_else(|| "runc".into());
        let mut ctr = self.ctr_in(namespace);
        ctr.args(["run", "--detach", "--cgroup", &format!("{}/{namespace}-{id}", self.cgroup_parent), "--runc-binary"]).arg(runc);
        run(ctr.arg("--runc-root").arg(self.dir.join("runc")).args([&stored.reference, id])).map(drop)
    }

    /// Ends a container of another namespace, and removes it.
    pub fn end_elsewhere(&self, namespace: &str, id: &str) -> Result<(), BenchError> {
        run(self.ctr_in(namespace).args(["tasks", "kill", "--signal", "SIGKILL", id]))?;
        wait_for("the task is deleted", LONGEST_START, || {
            run(self.ctr_in(namespace).args(["tasks", "delete", id])).map(drop).map_err(|error| error.to_string())
        })?;
        run(self.ctr_in(namespace).args(["containers", "delete", id])).map(drop)
    }

    fn process(&self) -> MutexGuard<'_, Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ctr(&self) -> Command {
        self.ctr_in("k8s.io")
    }

    fn ctr_in(&self, namespace: &str) -> Command {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(self.socket()).args(["--namespace", namespace]);
        ctr
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        sweep::kill(&mut self.process());
        sweep::leftovers(&self.dir);
        cgroups::sweep_below(&self.cgroup_parent);
    }
}

fn spawn(dir: &Path) -> Result<Child, BenchError> {
    let log_path = dir.join("containerd.log");
    let log = File::options().create(true).append(true).open(&log_path).map_err(BenchError::io(format!("write {}", log_path.display())))?;
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new("containerd");
    command.arg("--config").arg(dir.join("config.toml")).env("PATH", path);
    children::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)).map_err(BenchError::io("start containerd"))
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(BenchError::io(format!("write {}", path.display())))
}

fn config(dir: &Path) -> String {
    let runc = sandbox::find_program("runc").unwrap_or_else(|| "runc".into());
    let (dir, runc) = (dir.display(), runc.display());
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{dir}/containerd.sock"

[ttrpc]
  address = "{dir}/containerd.sock.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_tcp_service = true
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{dir}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  Root = "{dir}/runc"
  SystemdCgroup = false
"#
    )
}

/// Point-to-point links only: no bridge, no masquerading, nothing that outlives the pods' namespaces. Pods reach what listens on the node's addresses.
fn network(dir: &Path, subnet: u8) -> String {
    serde_json::json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": { "type": "host-local", "subnet": format!("10.88.{subnet}.0/24"), "routes": [{ "dst": "0.0.0.0/0" }], "dataDir": dir.join("ipam") },
        }],
    })
    .to_string()
}
