//! The node's CSI driver, `podseal.dev`: gives a pod the folder with launcher and socket, and takes its service-account token from the kubelet.
//!
//! An ephemeral inline volume is published before any container of the pod exists, so it has nothing of a container's in it: the same folder for
//! all, mounted read-only. The token goes into a file that root alone reads, in memory, and into evidence when a container of that pod asks.

mod http2;
mod registration;
mod target;
mod tokens;
mod volumes;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{net::UnixListener, sync::watch};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::config::{Config, Csi};
use registration::Registrar;
pub use tokens::{TokenError, Tokens};
use volumes::Volumes;

/// Name of the driver, and of its CSIDriver object.
pub const DRIVER: &str = "podseal.dev";

/// What the kubelet calls, as the specification of CSI has it.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]
mod served {
    pub mod csi {
        tonic::include_proto!("csi.v1");
    }
    pub mod registration {
        tonic::include_proto!("pluginregistration");
    }
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {step}: {problem}: correct [csi], or whether the attester may write there")]
pub struct CsiError {
    path: PathBuf,
    step: &'static str,
    problem: io::Error,
}

fn at<'p>(path: &'p Path, step: &'static str) -> impl Fn(io::Error) -> CsiError + 'p {
    move |problem| CsiError { path: path.to_owned(), step, problem }
}

/// Both sockets, not served yet.
pub struct Driver {
    csi: UnixListener,
    registration: UnixListener,
    volumes: Volumes,
    registrar: Registrar,
}

impl Driver {
    /// Listens where the configuration says; `tokens` gets those of the pods.
    ///
    /// # Errors
    /// [`CsiError`].
    pub fn listen(config: &Config, csi: &Csi, tokens: Arc<Tokens>) -> Result<Self, CsiError> {
        let volumes = Volumes {
            node: config.node.name.clone(),
            audience: config.verifier.id.to_string(),
            shared: config.workload.directory.clone(),
            kubelet: csi.kubelet.clone(),
            tokens,
        };
        let registrar = Registrar { endpoint: csi.socket.clone() };
        Ok(Self { csi: listen(&csi.socket)?, registration: listen(&csi.registration)?, volumes, registrar })
    }

    /// Serves the kubelet until `stop` says so. What was published stays: containers run the launcher in it.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { csi, registration, volumes, registrar } = self;
        let stopped = async move {
            let mut stop = stop;
            // An error says that the sender is gone, which is the signal.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let identity = served::csi::identity_server::IdentityServer::new(volumes::Identity);
        let node = served::csi::node_server::NodeServer::new(volumes);
        let registering = tokio::spawn(Arc::new(registrar).serve(registration));
        let server = Server::builder().add_service(identity).add_service(node);
        if let Err(error) = server.serve_with_incoming_shutdown(UnixListenerStream::new(csi), stopped).await {
            tracing::error!(%error, "the CSI driver ended");
        }
        registering.abort();
    }
}

/// A socket that root alone connects to, in the place of one that was left behind.
fn listen(path: &Path) -> Result<UnixListener, CsiError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder, "make it"))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path, "remove the old socket")(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(at(path, "listen"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at(path, "set its mode"))?;
    Ok(listener)
}
