//! The kubelet's side of the container runtime interface, blocking.

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::error::BenchError;

/// The messages of `proto/cri.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod messages {
    tonic::include_proto!("runtime.v1");
}
use messages as m;
use messages::runtime_service_client::RuntimeServiceClient;

/// A connection to a runtime.
#[derive(Clone, Debug)]
pub struct Cri {
    client: RuntimeServiceClient<Channel>,
}

/// What `ContainerStatus` says of a container.
#[derive(Clone, Debug)]
pub struct Status {
    /// The published fields.
    pub container: m::ContainerStatus,
    /// `info["info"]`, containerd's own: `pid`, `sandboxID`, `runtimeSpec`.
    pub info: serde_json::Value,
}

impl Status {
    /// The process id of the container's init; 0 before it runs.
    pub fn pid(&self) -> i32 {
        self.info.get("pid").and_then(serde_json::Value::as_i64).and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0)
    }
}

impl Cri {
    /// Connects to the runtime's socket.
    pub fn connect(socket: &Path) -> Result<Self, BenchError> {
        let path = socket.to_path_buf();
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost").timeout(Duration::from_secs(60));
        let channel = runtime()?.block_on(endpoint.connect_with_connector(connector));
        let channel = channel
            .map_err(|error| BenchError::answer(socket.display().to_string(), format!("{error:?}"), "a connection to containerd"))?;
        Ok(Self { client: RuntimeServiceClient::new(channel) })
    }

    fn call<T, F>(&self, call: &'static str, start: impl FnOnce(RuntimeServiceClient<Channel>) -> F) -> Result<T, BenchError>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let answer = runtime()?.block_on(start(self.client.clone()));
        answer.map(tonic::Response::into_inner).map_err(|status| BenchError::Runtime { call, status: Box::new(status) })
    }

    /// The runtime's name and version.
    pub fn version(&self) -> Result<String, BenchError> {
        let request = m::VersionRequest { version: "v1".into() };
        let found = self.call("Version", |mut client| async move { client.version(request).await })?;
        Ok(format!("{} {}", found.runtime_name, found.runtime_version))
    }

    /// Runs a sandbox and returns its id.
    pub fn run_pod_sandbox(&self, config: m::PodSandboxConfig) -> Result<String, BenchError> {
        let request = m::RunPodSandboxRequest { config: Some(config) };
        Ok(self.call("RunPodSandbox", |mut client| async move { client.run_pod_sandbox(request).await })?.pod_sandbox_id)
    }

    /// Whether a sandbox is ready, as the runtime has it by now.
    pub fn sandbox_is_ready(&self, id: &str) -> Result<bool, BenchError> {
        let request = m::PodSandboxStatusRequest { pod_sandbox_id: id.into() };
        let answer = self.call("PodSandboxStatus", |mut client| async move { client.pod_sandbox_status(request).await })?;
        Ok(answer.status.is_some_and(|status| status.state() == m::PodSandboxState::SandboxReady))
    }

    /// Stops a sandbox and its containers.
    pub fn stop_pod_sandbox(&self, id: &str) -> Result<(), BenchError> {
        let request = m::StopPodSandboxRequest { pod_sandbox_id: id.into() };
        self.call("StopPodSandbox", |mut client| async move { client.stop_pod_sandbox(request).await }).map(drop)
    }

    /// Removes a sandbox and its containers.
    pub fn remove_pod_sandbox(&self, id: &str) -> Result<(), BenchError> {
        let request = m::RemovePodSandboxRequest { pod_sandbox_id: id.into() };
        self.call("RemovePodSandbox", |mut client| async move { client.remove_pod_sandbox(request).await }).map(drop)
    }

    /// Creates a container in a sandbox and returns its id.
    pub fn create_container(
        &self,
        sandbox: &str,
        config: m::ContainerConfig,
        sandbox_config: m::PodSandboxConfig,
    ) -> Result<String, BenchError> {
        let request =
            m::CreateContainerRequest { pod_sandbox_id: sandbox.into(), config: Some(config), sandbox_config: Some(sandbox_config) };
        Ok(self.call("CreateContainer", |mut client| async move { client.create_container(request).await })?.container_id)
    }

    /// Starts a created container.
    pub fn start_container(&self, id: &str) -> Result<(), BenchError> {
        let request = m::StartContainerRequest { container_id: id.into() };
        self.call("StartContainer", |mut client| async move { client.start_container(request).await }).map(drop)
    }

    /// Sends SIGTERM, and after `grace` whole seconds SIGKILL.
    pub fn stop_container(&self, id: &str, grace: Duration) -> Result<(), BenchError> {
        let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let request = m::StopContainerRequest { container_id: id.into(), timeout };
        self.call("StopContainer", |mut client| async move { client.stop_container(request).await }).map(drop)
    }

    /// Removes a container, running or not.
    pub fn remove_container(&self, id: &str) -> Result<(), BenchError> {
        let request = m::RemoveContainerRequest { container_id: id.into() };
        self.call("RemoveContainer", |mut client| async move { client.remove_container(request).await }).map(drop)
    }

    /// A container's state, with containerd's own account of it.
    pub fn container_status(&self, id: &str) -> Result<Status, BenchError> {
        let request = m::ContainerStatusRequest { container_id: id.into(), verbose: true };
        let answer = self.call("ContainerStatus", |mut client| async move { client.container_status(request).await })?;
        let info = answer.info.get("info").map(String::as_str).unwrap_or("null");
        let info = serde_json::from_str(info).map_err(|error| BenchError::answer("ContainerStatus", error.to_string(), "JSON in info"))?;
        let container = answer.status.ok_or_else(|| BenchError::answer("ContainerStatus", "no status", "the container's status"))?;
        Ok(Status { container, info })
    }
}

/// One runtime for all connections of the process: tests are blocking code.
pub(crate) fn runtime() -> Result<&'static Runtime, BenchError> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let made = made.map_err(BenchError::io("start a tokio runtime"))?;
    Ok(RUNTIME.get_or_init(|| made))
}
