//! One connection to the container runtime, and the questions asked over it (CRI v1).

use std::{path::Path, time::Duration};

use hyper_util::rt::TokioIo;
use podseal_protocol::{Limits, PodSet, pod_log::Started};
use tokio::net::UnixStream;
use tonic::{
    Code, Status,
    codegen::http::Uri,
    transport::{Channel, Endpoint},
};

use super::{
    Refusal,
    cri::{
        ContainerFilter, ContainerState, ContainerStatusRequest, ImageSpec, ImageStatusRequest, ListContainersRequest,
        PodSandboxStatusRequest, image_service_client::ImageServiceClient, runtime_service_client::RuntimeServiceClient,
    },
    image::Image,
    pod::{self, ContainerFacts, Sandbox},
};

/// Between two looks at a container that the runtime still calls created.
const PAUSE: Duration = Duration::from_millis(4);
/// How often it is looked at; a start takes some 60 ms.
const LOOKS: u32 = 500;

/// A connection to the runtime.
pub(crate) struct Runtime {
    containers: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    limits: Limits,
}

impl Runtime {
    /// Connects to the runtime's socket.
    pub(crate) async fn connect(socket: &Path, limits: Limits) -> Result<Self, Refusal> {
        Ok(Self::over(connect(socket).await?, limits))
    }

    /// Asks over a connection that there is.
    pub(crate) fn over(channel: Channel, limits: Limits) -> Self {
        Self {
            containers: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(limits.message),
            images: ImageServiceClient::new(channel).max_decoding_message_size(limits.message),
            limits,
        }
    }

    /// What the pod log says of a container of a pod, whatever its state.
    pub(crate) async fn describe(&mut self, id: &str) -> Result<Started, Refusal> {
        let container = self.container(id).await?;
        let sandbox = self.sandbox(&container.sandbox_id).await?;
        let image = match self.image(&container.image_ref).await {
            Ok(image) => image.named(&container.image_ref),
            Err(Refusal::ImageWithoutDigest { .. }) => container.image_ref.clone(),
            Err(refusal) => return Err(refusal),
        };
        Ok(Started {
            container_id: id.to_owned(),
            sandbox: false,
            pod_uid: sandbox.uid,
            namespace: sandbox.namespace,
            pod: sandbox.name,
            image,
            privileged: container.privileged,
            container: container.name,
            heard: true,
        })
    }

    /// A container that has been started. While its first process already runs, the runtime may still call it created: then this waits,
    /// bounded.
    pub(super) async fn started(&mut self, id: &str) -> Result<ContainerFacts, Refusal> {
        let mut container = self.container(id).await?;
        for _ in 0..LOOKS {
            if !container.is_starting() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            container = self.container(id).await?;
        }
        Ok(container)
    }

    async fn container(&mut self, id: &str) -> Result<ContainerFacts, Refusal> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        let reply = self.containers.container_status(request).await.map_err(|status| match status.code() {
            Code::NotFound => Refusal::ContainerUnknown { id: id.to_owned() },
            _ => away("ContainerStatus", &status),
        })?;
        pod::container(id, reply.into_inner(), &self.limits)
    }

    /// The sandbox of a pod.
    pub(super) async fn sandbox(&mut self, id: &str) -> Result<Sandbox, Refusal> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let reply = self.containers.pod_sandbox_status(request).await.map_err(|status| away("PodSandboxStatus", &status))?;
        pod::sandbox(id, reply.into_inner(), &self.limits)
    }

    /// An image, by the reference that a container's status has.
    pub(super) async fn image(&mut self, reference: &str) -> Result<Image, Refusal> {
        let request = ImageStatusRequest { image: Some(ImageSpec { image: reference.to_owned() }), verbose: true };
        let reply = self.images.image_status(request).await.map_err(|status| away("ImageStatus", &status))?;
        Image::from_reply(reference, reply.into_inner())
    }

    /// All containers of a pod that are created or running.
    pub(super) async fn pod_set(&mut self, sandbox: &Sandbox) -> Result<PodSet, Refusal> {
        let request = ListContainersRequest { filter: Some(ContainerFilter { pod_sandbox_id: sandbox.id.clone() }) };
        let reply = self.containers.list_containers(request).await.map_err(|status| away("ListContainers", &status))?;
        let listed = reply.into_inner().containers;
        pod::not_too_many(listed.len())?;
        let mut members = Vec::new();
        for container in listed.iter().filter(|c| matches!(c.state(), ContainerState::ContainerCreated | ContainerState::ContainerRunning))
        {
            let facts = match self.container(&container.id).await {
                // Removed since it was listed.
                Err(Refusal::ContainerUnknown { .. }) => continue,
                facts => facts?,
            };
            let image = self.image(&facts.image_ref).await?;
            members.push(facts.member(&image));
        }
        Ok(PodSet::new(sandbox.host_namespaces, members))
    }
}

/// A connection to the runtime's socket.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, Refusal> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let away = |e: tonic::transport::Error| {
        let cause = std::iter::successors(Some(&e as &dyn std::error::Error), |e| e.source()).last().map(ToString::to_string);
        Refusal::RuntimeAway { problem: format!("{}: {}", socket.display(), cause.unwrap_or_default()) }
    };
    Endpoint::from_static("http://runtime").connect_with_connector(connector).await.map_err(away)
}

fn away(call: &'static str, status: &Status) -> Refusal {
    Refusal::RuntimeAway { problem: format!("{call}: {:?}: {}", status.code(), status.message()) }
}
