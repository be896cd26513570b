//! The services of CSI: the driver says who it is, and puts the shared folder where the kubelet wants it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount},
};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::{
    DRIVER, TokenError, Tokens,
    served::csi::{
        GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest, GetPluginInfoResponse,
        NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse, NodeGetInfoRequest, NodeGetInfoResponse, NodePublishVolumeRequest,
        NodePublishVolumeResponse, NodeUnpublishVolumeRequest, NodeUnpublishVolumeResponse, ProbeRequest, ProbeResponse, identity_server,
        node_server, volume_capability::AccessType,
    },
    target::{Target, is_plain},
    tokens::TOKENS,
};

/// Who asks for a volume, as the kubelet adds it where the CSIDriver object has `podInfoOnMount`.
const EPHEMERAL: &str = "csi.storage.k8s.io/ephemeral";
const POD_UID: &str = "csi.storage.k8s.io/pod.uid";

pub(super) struct Identity;

#[tonic::async_trait]
impl identity_server::Identity for Identity {
    async fn get_plugin_info(&self, _: Request<GetPluginInfoRequest>) -> Result<Response<GetPluginInfoResponse>, Status> {
        let vendor_version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Response::new(GetPluginInfoResponse { name: DRIVER.to_owned(), vendor_version }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        Ok(Response::new(GetPluginCapabilitiesResponse {}))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        Ok(Response::new(ProbeResponse {}))
    }
}

/// The node's service.
pub(super) struct Volumes {
    /// The node's name.
    pub(super) node: String,
    /// For whom tokens are.
    pub(super) audience: String,
    /// What every pod gets.
    pub(super) shared: PathBuf,
    /// The kubelet's folder.
    pub(super) kubelet: PathBuf,
    pub(super) tokens: Arc<Tokens>,
}

#[tonic::async_trait]
impl node_server::Node for Volumes {
    async fn node_publish_volume(&self, request: Request<NodePublishVolumeRequest>) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let target = self.wanted(&request)?;
        let sent = request.secrets.get(TOKENS).or_else(|| request.volume_context.get(TOKENS));
        let missing = || TokenError::None { audience: self.audience.clone() };
        let kept = sent.ok_or_else(missing).and_then(|sent| self.tokens.keep(&target.pod_uid, sent, &self.audience));
        kept.map_err(|error| Status::failed_precondition(error.to_string()))?;
        let (shared, path) = (self.shared.clone(), target.path.clone());
        // The kubelet asks again and again, with a newer token each time.
        if blocking(&target.path, move || publish(&shared, &path)).await? {
            tracing::info!(volume = request.volume_id, pod_uid = target.pod_uid, "published");
        }
        Ok(Response::new(NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let NodeUnpublishVolumeRequest { volume_id, target_path } = request.into_inner();
        named(&volume_id)?;
        let target = self.target(&target_path)?;
        let path = target.path.clone();
        blocking(&target.path, move || unpublish(&path)).await?;
        self.tokens.forget(&target.pod_uid).map_err(|error| Status::internal(error.to_string()))?;
        tracing::info!(volume = volume_id, pod_uid = target.pod_uid, "unpublished");
        Ok(Response::new(NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_capabilities(&self, _: Request<NodeGetCapabilitiesRequest>) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        Ok(Response::new(NodeGetCapabilitiesResponse {}))
    }

    async fn node_get_info(&self, _: Request<NodeGetInfoRequest>) -> Result<Response<NodeGetInfoResponse>, Status> {
        Ok(Response::new(NodeGetInfoResponse { node_id: self.node.clone() }))
    }
}

impl Volumes {
    /// The target of a request that is one for an ephemeral volume of the pod whose folder it names.
    fn wanted(&self, request: &NodePublishVolumeRequest) -> Result<Target, Status> {
        named(&request.volume_id)?;
        let target = self.target(&request.target_path)?;
        let capability = request.volume_capability.as_ref().and_then(|capability| capability.access_type.as_ref());
        if !matches!(capability, Some(AccessType::Mount(_))) {
            return Err(Status::invalid_argument("wanted a volume that is mounted (volumeMounts), not a block device"));
        }
        let context = |key: &str| request.volume_context.get(key).map(String::as_str);
        if context(EPHEMERAL) != Some("true") {
            let why =
                "wanted an ephemeral inline volume (volumes[].csi of the pod, podInfoOnMount of the CSIDriver object): there are no others";
            return Err(Status::invalid_argument(why));
        }
        if context(POD_UID) != Some(&*target.pod_uid) {
            let found = context(POD_UID).unwrap_or("none");
            return Err(Status::invalid_argument(format!(
                "found the pod {found:?} in the volume's context, wanted that of the target path"
            )));
        }
        Ok(target)
    }

    fn target(&self, path: &str) -> Result<Target, Status> {
        let wanted =
            || format!("target_path: found {path:?}, wanted {}/pods/UID/volumes/kubernetes.io~csi/NAME/mount", self.kubelet.display());
        Target::parse(path, &self.kubelet).ok_or_else(|| Status::invalid_argument(wanted()))
    }
}

fn named(volume_id: &str) -> Result<(), Status> {
    if is_plain(volume_id) { Ok(()) } else { Err(Status::invalid_argument(format!("volume_id: found {volume_id:?}, wanted a plain name"))) }
}

async fn blocking<T: Send + 'static>(path: &Path, steps: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Status> {
    let done = spawn_blocking(steps).await.map_err(|_| Status::unavailable("the attester is ending"))?;
    done.map_err(|error| Status::internal(format!("{}: {error}", path.display())))
}

/// Whether the shared folder is mounted there.
fn is_published(shared: &Path, target: &Path) -> io::Result<bool> {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match fs::symlink_metadata(target) {
        Ok(found) => Ok(id(found) == id(fs::metadata(shared)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Once, however often it is asked for: whether it had to be done.
fn publish(shared: &Path, target: &Path) -> io::Result<bool> {
    if is_published(shared, target)? {
        return Ok(false);
    }
    fs::DirBuilder::new().recursive(true).mode(0o750).create(target)?;
    mount_bind(shared, target)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(target, flags, "").map_err(|error| {
        // What could be written to is not left there.
        let _ = unmount(target, UnmountFlags::DETACH);
        io::Error::from(error)
    })?;
    Ok(true)
}

/// Once, however often it is asked for; nothing of it is left, also where an attester of before mounted another folder there.
fn unpublish(target: &Path) -> io::Result<()> {
    loop {
        match unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // umount2(2): it is no mount point, or not there.
            Err(Errno::INVAL | Errno::NOENT) => break,
            Err(error) => return Err(error.into()),
        }
    }
    match fs::remove_dir(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
