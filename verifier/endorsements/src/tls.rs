//! TLS to the makers' services, as any client of the web has it: what they answer is signed, so this only keeps third parties from
//! choosing among genuine answers, and from seeing who asks for which chip.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use thiserror::Error;
use tokio_rustls::TlsConnector;

/// Where distributions keep the roots of the web.
pub const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsRootsError {
    /// The file cannot be read.
    #[error("{path}: {error}: install ca-certificates, or name a file with the roots of the services' TLS certificates")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// It has no root.
    #[error("{0}: found no certificate that can be a root, wanted at least one in PEM")]
    None(PathBuf),
    /// The TLS library refuses its own defaults.
    #[error("TLS: {0}")]
    Setup(rustls::Error),
}

/// A connector that trusts the roots in a file.
pub(crate) fn connector(path: &Path) -> Result<TlsConnector, TlsRootsError> {
    let bytes = fs::read(path).map_err(|error| TlsRootsError::Read { path: path.to_owned(), error })?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
    let (added, _) = roots.add_parsable_certificates(certificates);
    podseal_protocol::require(added > 0, TlsRootsError::None(path.to_owned()))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsRootsError::Setup)?;
    Ok(TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}
