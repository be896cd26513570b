//! Who asks: decided by the kernel and the runtime, never by what the caller says: only the init process of a container may ask.
//!
//! The whole identification is done twice for each session, the second time just before anything is handed over, each time over a new
//! connection to the runtime.

pub mod cgroup;
mod cri;
mod image;
mod launcher;
mod peer;
mod pod;
mod process;
mod refusal;
mod runtime;

use std::{path::PathBuf, time::Duration};

use podseal_protocol::{Digest, Limits, PodSet, SecretRequest, require};

pub use image::Image;
pub use launcher::Launcher;
pub use peer::Peer;
pub use refusal::Refusal;

pub(crate) use runtime::{Runtime, connect};

/// The sandbox annotation that says which secrets a pod's containers want; a container's own is `podseal.dev/CONTAINER.secrets`.
pub const ANNOTATION: &str = "podseal.dev/secrets";

/// A container's init process, and what the runtime says about its container and pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Start time of the init process, in clock ticks since boot (proc(5), `/proc/PID/stat` field 22).
    pub init_start: u64,
    /// The runtime's id of the container.
    pub container_id: String,
    /// Name of the container within the pod.
    pub container: String,
    /// The pod's namespace, as its sandbox has it.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub pod_uid: String,
    /// The container's image.
    pub image: Image,
    /// The OCI runtime spec, byte for byte as the runtime gave it.
    pub spec: Vec<u8>,
    /// All containers of the pod.
    pub pod_set: PodSet,
    /// `h` of the launcher, which the init process runs.
    pub launcher: Digest,
    /// What the sandbox's annotation asks for.
    pub secrets: Vec<SecretRequest>,
}

/// Whether `pid` still is the process that started at `start`.
#[must_use]
pub fn has_started(pid: i32, start: u64) -> bool {
    process::start_time(pid) == Ok(start)
}

/// Identifies callers.
pub struct Identifier {
    /// The runtime's CRI socket.
    pub runtime_socket: PathBuf,
    /// The launcher on the attester's own mount.
    pub launcher: Launcher,
    /// How long one identification may take.
    pub deadline: Duration,
    /// For what the runtime answers.
    pub limits: Limits,
}

impl Identifier {
    /// Identifies `peer`, or says which requirement it does not meet.
    ///
    /// # Errors
    /// The first requirement that does not hold.
    pub async fn identify(&self, peer: &Peer) -> Result<Identity, Refusal> {
        let late = |_| Refusal::RuntimeAway { problem: format!("no answer within {} ms", self.deadline.as_millis()) };
        let found = tokio::time::timeout(self.deadline, self.steps(peer)).await.map_err(late)?;
        // What was found by the pid of a process that has ended may be about another one.
        found.map_err(|refusal| if peer.is_alive() { refusal } else { Refusal::PeerGone })
    }

    async fn steps(&self, peer: &Peer) -> Result<Identity, Refusal> {
        let init_start = process::start_time(peer.pid())?;
        let container_id = cgroup::container_of(&process::cgroup(peer.pid())?).ok_or(Refusal::NotInContainer)?;

        let mut runtime = Runtime::connect(&self.runtime_socket, self.limits).await?;
        let container = runtime.started(&container_id).await?;
        let init = container.init();
        require(init == i64::from(peer.pid()), Refusal::NotInit { asks: peer.pid(), init })?;
        let launcher = self.launcher.digest()?;
        require(launcher.is_run_by(peer.pid())?, Refusal::OtherLauncher)?;

        let sandbox = runtime.sandbox(&container.sandbox_id).await?;
        require(sandbox.ready, Refusal::SandboxNotReady)?;
        let image = runtime.image(&container.image_ref).await?;
        let pod_set = runtime.pod_set(&sandbox).await?;
        let own = format!("podseal.dev/{}.secrets", container.name);
        let asked = sandbox.annotations.get(&own).or_else(|| sandbox.annotations.get(ANNOTATION)).ok_or(Refusal::AsksForNothing)?;
        let secrets = SecretRequest::parse_annotation(asked, &self.limits).map_err(Refusal::Annotation)?;

        // Last: a process that is alive now has had its pid all the time, so all that was read about that pid is about it.
        require(peer.is_alive(), Refusal::PeerGone)?;
        Ok(Identity {
            init_start,
            container_id,
            container: container.name,
            namespace: sandbox.namespace,
            pod: sandbox.name,
            pod_uid: sandbox.uid,
            image,
            spec: container.spec,
            pod_set,
            launcher: launcher.digest,
            secrets,
        })
    }

    /// Identifies `peer` once more; it has to be what it was.
    ///
    /// # Errors
    /// The first requirement that no longer holds, or [`Refusal::Changed`].
    pub async fn confirm(&self, peer: &Peer, before: &Identity) -> Result<(), Refusal> {
        let now = self.identify(peer).await?;
        let pod_alone = now.pod_set != before.pod_set && now == Identity { pod_set: now.pod_set.clone(), ..before.clone() };
        require(now == *before, Refusal::Changed { pod_alone })
    }
}
