//! Containers of a pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::log;
use crate::containerd::{Containerd, Executed};
use crate::cri::Status;
use crate::cri::messages as m;
use crate::cri::messages::ContainerState;
use crate::error::{BenchError, wait_for};
use crate::image::Stored;

/// What the kubelet has hidden in every container (Kubernetes, `procMount: Default`).
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// What it has made read-only. The runtime leaves both out of privileged containers.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A container to be created.
#[derive(Clone, Debug)]
pub struct Container {
    name: String,
    attempt: u32,
    config: m::ContainerConfig,
    security: m::LinuxContainerSecurityContext,
}

impl Container {
    /// A container of an image, which the runtime is given as the kubelet gives it: by the digest of its configuration.
    pub fn new(name: &str, image: &Stored) -> Self {
        let config = m::ContainerConfig { image: Some(m::ImageSpec { image: image.config.clone() }), ..Default::default() };
        let paths = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let security =
            m::LinuxContainerSecurityContext { masked_paths: paths(&MASKED), readonly_paths: paths(&READ_ONLY), ..Default::default() };
        Self { name: name.into(), attempt: 0, config, security }
    }

    /// Kubernetes' `command`: replaces the image's Entrypoint and Cmd.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.config.command = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Kubernetes' `args`: replaces the image's Cmd.
    #[must_use]
    pub fn args(mut self, words: &[&str]) -> Self {
        self.config.args = words.iter().map(ToString::to_string).collect();
        self
    }

    /// The working directory.
    #[must_use]
    pub fn working_dir(mut self, folder: &str) -> Self {
        self.config.working_dir = folder.into();
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.config.envs.push(m::KeyValue { key: name.into(), value: value.into() });
        self
    }

    /// Mounts a folder or file of the node, read-only.
    #[must_use]
    pub fn mount(self, from: &Path, to: &str) -> Self {
        self.mount_as(from, to, true)
    }

    /// Mounts a folder or file of the node, writable.
    #[must_use]
    pub fn mount_writable(self, from: &Path, to: &str) -> Self {
        self.mount_as(from, to, false)
    }

    fn mount_as(mut self, from: &Path, to: &str, readonly: bool) -> Self {
        self.config.mounts.push(m::Mount { container_path: to.into(), host_path: from.display().to_string(), readonly });
        self
    }

    /// `runAsUser` and `runAsGroup`.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.security.run_as_user = Some(m::Int64Value { value: uid.into() });
        self.security.run_as_group = Some(m::Int64Value { value: gid.into() });
        self
    }

    /// `readOnlyRootFilesystem: true`.
    #[must_use]
    pub fn read_only_root(mut self) -> Self {
        self.security.readonly_rootfs = true;
        self
    }

    /// `privileged: true`. The pod must be [`Pod::privileged`] too.
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.security.privileged = true;
        self
    }

    /// `allowPrivilegeEscalation: false`.
    #[must_use]
    pub fn no_new_privs(mut self) -> Self {
        self.security.no_new_privs = true;
        self
    }

    /// Capabilities to add and to drop, without `CAP_`.
    #[must_use]
    pub fn capabilities(mut self, add: &[&str], drop: &[&str]) -> Self {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        self.security.capabilities = Some(m::Capability { add_capabilities: names(add), drop_capabilities: names(drop) });
        self
    }

    /// How often the container was restarted before.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    pub(super) fn config(self, pod: &m::PodSandboxConfig) -> m::ContainerConfig {
        let Self { name, attempt, mut config, mut security } = self;
        config.labels = pod.labels.clone();
        config.labels.insert("io.kubernetes.container.name".into(), name.clone());
        config.annotations.insert("io.kubernetes.container.restartCount".into(), attempt.to_string());
        config.log_path = format!("{name}/{attempt}.log");
        config.metadata = Some(m::ContainerMetadata { name, attempt });
        let of_pod = pod.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
        security.namespace_options = of_pod.and_then(|context| context.namespace_options.clone());
        config.linux = Some(m::LinuxContainerConfig { security_context: Some(security) });
        config
    }
}

/// A container on a node.
#[derive(Debug)]
pub struct RunningContainer<'node> {
    node: &'node Containerd,
    id: String,
    log: PathBuf,
}

impl<'node> RunningContainer<'node> {
    pub(super) fn new(node: &'node Containerd, id: String, log: PathBuf) -> Self {
        Self { node, id, log }
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts it, when it was only created.
    pub fn start(&self) -> Result<(), BenchError> {
        self.node.cri().start_container(&self.id)
    }

    /// What the runtime says of it.
    pub fn status(&self) -> Result<Status, BenchError> {
        self.node.cri().container_status(&self.id)
    }

    /// SIGTERM, then SIGKILL after `grace`.
    pub fn stop(&self, grace: Duration) -> Result<(), BenchError> {
        self.node.cri().stop_container(&self.id, grace)
    }

    /// Removes it, running or not.
    pub fn remove(self) -> Result<(), BenchError> {
        self.node.cri().remove_container(&self.id)
    }

    /// Runs a command in it: [`Containerd::exec`].
    pub fn exec(&self, command: &[&str], within: Duration) -> Result<Executed, BenchError> {
        self.node.exec(&self.id, command, within)
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> Result<String, BenchError> {
        log::read(&self.log, log::Stream::Stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> Result<String, BenchError> {
        log::read(&self.log, log::Stream::Stderr)
    }

    /// Waits for its first whole line on standard output.
    pub fn first_line(&self, within: Duration) -> Result<String, BenchError> {
        wait_for(&format!("container {} writes a line", self.id), within, || {
            let written = self.stdout().map_err(|error| error.to_string())?;
            let line = written.split_once('\n').map(|(line, _)| line.to_owned());
            line.ok_or_else(|| format!("{written:?} on stdout, {:?} on stderr", self.stderr().unwrap_or_default()))
        })
    }

    /// Waits for its end and returns its exit code.
    pub fn wait(&self, within: Duration) -> Result<i32, BenchError> {
        wait_for(&format!("container {} ends", self.id), within, || {
            let status = self.status().map_err(|error| error.to_string())?;
            match status.container.state() {
                ContainerState::ContainerExited => Ok(status.container.exit_code),
                other => Err(format!("{other:?}")),
            }
        })
    }
}
