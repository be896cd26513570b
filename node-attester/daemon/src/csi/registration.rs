//! How the kubelet learns of the driver (k8s.io/kubelet, pluginregistration v1): it watches a folder for sockets, and asks each what it is.

use std::{path::PathBuf, sync::Arc, time::Duration};

use prost::Message as _;
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

use super::{
    DRIVER, http2,
    served::registration::{PluginInfo, RegistrationStatus, RegistrationStatusResponse},
};

/// The versions of CSI that the kubelet may speak.
const VERSIONS: [&str; 1] = ["1.0.0"];
/// For one connection, which the kubelet makes for each call.
const LONGEST: Duration = Duration::from_secs(30);
/// After accept(2) failed, which it does where file descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Registrar {
    /// Where the driver itself is served.
    pub(super) endpoint: PathBuf,
}

impl Registrar {
    /// Serves the kubelet for as long as this is polled.
    pub(super) async fn serve(self: Arc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(Arc::clone(&self).converse(stream))),
                Err(error) => {
                    tracing::error!(%error, "accept");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn converse(self: Arc<Self>, stream: UnixStream) {
        if let Ok(Err(error)) = timeout(LONGEST, http2::serve(stream, |path, message| self.answer(path, message))).await {
            tracing::warn!(%error, "registration");
        }
    }

    fn answer(&self, path: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        match path {
            b"/pluginregistration.Registration/GetInfo" => Some(self.info().encode_to_vec()),
            b"/pluginregistration.Registration/NotifyRegistrationStatus" => {
                told(RegistrationStatus::decode(message).ok()?);
                Some(RegistrationStatusResponse {}.encode_to_vec())
            }
            _ => None,
        }
    }

    fn info(&self) -> PluginInfo {
        PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER.to_owned(),
            endpoint: self.endpoint.display().to_string(),
            supported_versions: VERSIONS.map(str::to_owned).to_vec(),
        }
    }
}

fn told(status: RegistrationStatus) {
    let RegistrationStatus { plugin_registered, error } = status;
    if plugin_registered {
        tracing::info!(driver = DRIVER, "the kubelet has the CSI driver");
    } else {
        tracing::error!(driver = DRIVER, error, "the kubelet refused the CSI driver");
    }
}
