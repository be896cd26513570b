//! How the kubelet learns of the driver (k8s.io/kubelet, pluginregistration v1): it watches a folder for sockets, and asks each what it is.

use std::path::PathBuf;

use tonic::{Request, Response, Status};

use super::{
    DRIVER,
    served::registration::{InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse, registration_server::Registration},
};

/// The versions of CSI that the kubelet may speak.
const VERSIONS: [&str; 1] = ["1.0.0"];

pub(super) struct Registrar {
    /// Where the driver itself is served.
    pub(super) endpoint: PathBuf,
}

#[tonic::async_trait]
impl Registration for Registrar {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER.to_owned(),
            endpoint: self.endpoint.display().to_string(),
            supported_versions: VERSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let RegistrationStatus { plugin_registered, error } = request.into_inner();
        if plugin_registered {
            tracing::info!(driver = DRIVER, "the kubelet knows the CSI driver");
        } else {
            tracing::error!(driver = DRIVER, error, "the kubelet refused the CSI driver");
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
