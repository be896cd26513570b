//! Certificate and key from two files, taken up when they change. A pair that does not fit together is not taken: the one before stays.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use podseal_protocol::Digest;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use thiserror::Error;
use tracing::{info, warn};
use zeroize::Zeroizing;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Certificates in PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its key in PEM.
    pub key: PathBuf,
}

/// Why there is no certificate to show.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {problem}: make one with `podseal-injector certificate`, or correct [tls]")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
    /// A file is not PEM, or has nothing of what is wanted.
    #[error("{file}: {problem}: wanted {wanted} in PEM")]
    Pem {
        /// Which file.
        file: PathBuf,
        /// What the parser said.
        problem: pem::Error,
        /// What was looked for.
        wanted: &'static str,
    },
    /// They don't belong together, or are of no use.
    #[error("{certificate} with {key}: {problem}: wanted a certificate and the key that it is for", certificate = .files.certificate.display(), key = .files.key.display())]
    Pair {
        /// Which files.
        files: Files,
        /// What TLS said.
        problem: rustls::Error,
    },
    /// No TLS at all.
    #[error("TLS: {0}: check how the injector was built")]
    Configuration(rustls::Error),
}

/// A certificate and its key, and the digest of the files that they came from.
#[derive(Debug)]
struct Pair {
    files: Digest,
    certified: Arc<CertifiedKey>,
}

/// The certificate that is shown now.
#[derive(Debug)]
pub struct Current {
    files: Files,
    pair: RwLock<Pair>,
}

impl Current {
    /// Reads both files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &Files) -> Result<Self, TlsError> {
        let (certificate, key) = read_both(files)?;
        Ok(Self { files: files.clone(), pair: RwLock::new(pair(files, &certificate, &key)?) })
    }

    /// Reads both files again, and takes what is new. Says whether anything was.
    ///
    /// # Errors
    /// [`TlsError`]; what was shown before is shown still.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let (certificate, key) = read_both(&self.files)?;
        if self.pair.read().unwrap_or_else(PoisonError::into_inner).files == digest(&certificate, &key) {
            return Ok(false);
        }
        let new = pair(&self.files, &certificate, &key)?;
        *self.pair.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

/// Looks at the files for ever, `every` so often.
pub async fn keep_current(current: Arc<Current>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let looked_at = Arc::clone(&current);
        match tokio::task::spawn_blocking(move || looked_at.refresh()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => info!("a new certificate is shown from now on"),
            Ok(Err(error)) => warn!(%error, "the certificate stays as it is"),
            Err(error) => warn!(%error, "the certificate was not looked at"),
        }
    }
}

/// A file's bytes; they may be a key.
type Bytes = Zeroizing<Vec<u8>>;

fn read(file: &Path) -> Result<Bytes, TlsError> {
    fs::read(file).map(Zeroizing::new).map_err(|problem| TlsError::Unreadable { file: file.to_owned(), problem })
}

fn read_both(files: &Files) -> Result<(Bytes, Bytes), TlsError> {
    Ok((read(&files.certificate)?, read(&files.key)?))
}

fn digest(certificate: &[u8], key: &[u8]) -> Digest {
    Digest::of(&[Digest::of(certificate).0, Digest::of(key).0].concat())
}

fn pair(files: &Files, certificate: &[u8], key: &[u8]) -> Result<Pair, TlsError> {
    let not_pem = |file: &Path, wanted| {
        let file = file.to_owned();
        move |problem| TlsError::Pem { file, problem, wanted }
    };
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(not_pem(&files.certificate, "a certificate"))?;
    let private = PrivateKeyDer::from_pem_slice(key).map_err(not_pem(&files.key, "a private key"))?;
    let certified = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
        .map_err(|problem| TlsError::Pair { files: files.clone(), problem })?;
    Ok(Pair { files: digest(certificate, key), certified: Arc::new(certified) })
}

/// TLS 1.3 and 1.2, as API servers speak; no resumption, so that a certificate that is gone is never relied on.
///
/// # Errors
/// [`TlsError::Configuration`].
pub fn server_config(current: Arc<Current>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Configuration)?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
