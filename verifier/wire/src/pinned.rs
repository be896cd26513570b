//! A channel to the verifier that is pinned: never a host name, never a public authority, only `h(SPKI of the root)` says who answers.
//!
//! TLS 1.3 (RFC 8446). The verifier presents exactly \[leaf, root\]. The root's key must have the pinned digest; then the root is the one
//! trust anchor of an ordinary path validation (RFC 5280, section 6) of the leaf: signature, validity, key usage, name.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use podseal_protocol::{Digest, require};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint},
};

/// The DNS name in every verifier's TLS certificate.
pub const SERVER_NAME: &str = "verifier.podseal";

/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1 (RFC 5280, section 4.2.1.12).
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// How long to wait for the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For TCP and TLS together.
    pub connect: Duration,
    /// For one call, from its first byte to the end of the answer.
    pub call: Duration,
}

/// A client's own certificates and key, in PEM.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// The certificate, then its issuers.
    pub certificates: &'a [u8],
    /// Its key: PKCS#8 or SEC 1.
    pub key: &'a [u8],
}

/// Why there is no channel.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Not `https://HOST:PORT`.
    #[error("verifier address: found {0:?}, wanted https://HOST:PORT")]
    Address(String),
    /// The client's own certificate or key is not usable.
    #[error("client certificate or key: {0}: give a certificate and the unencrypted key that belongs to it, both in PEM")]
    Identity(String),
    /// TLS could not be set up at all.
    #[error("TLS: {0}")]
    Setup(String),
    /// Nobody answered.
    #[error("{address}: {problem}: start the verifier, or correct its address")]
    Unreachable {
        /// Where.
        address: String,
        /// What the operating system said.
        problem: String,
    },
    /// It did not answer in time.
    #[error("{address}: no answer within {} ms: see whether the verifier is overloaded or the network drops packets", .after.as_millis())]
    TimedOut {
        /// Where.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// Somebody answered with another number of certificates than two.
    #[error("the server presented {found} certificates, wanted 2 (leaf, root): it is no Podseal verifier, or a proxy ends TLS in between")]
    Certificates {
        /// How many.
        found: usize,
    },
    /// Another verifier answered.
    #[error("the server is verifier {found}, pinned is {wanted}: correct the pinned identity, or find out who answers")]
    OtherVerifier {
        /// Identity pinned.
        wanted: Digest,
        /// Identity presented.
        found: Digest,
    },
    /// The root is the pinned one, and the leaf does not hold under it.
    #[error("the server's certificate does not hold under the pinned root: {0}: compare the clocks, and restart the verifier to renew it")]
    Certificate(String),
    /// The handshake failed otherwise.
    #[error("{address}: TLS: {problem}")]
    Handshake {
        /// Where.
        address: String,
        /// What failed.
        problem: String,
    },
}

impl ConnectError {
    /// Finds the reason below an error of tonic's (a failed connection or call); `None` when the connection was not what failed.
    #[must_use]
    pub fn beneath(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        std::iter::successors(Some(error), |e| e.source()).find_map(|e| e.downcast_ref::<Self>().cloned())
    }
}

/// A channel that connects when it is first used, and again when the connection was lost.
///
/// # Errors
/// [`ConnectError::Address`], [`ConnectError::Identity`] and [`ConnectError::Setup`]: nothing was opened.
pub fn channel(address: &str, verifier: Digest, identity: Option<ClientIdentity<'_>>, timeouts: Timeouts) -> Result<Channel, ConnectError> {
    let (endpoint, connector) = prepare(address, verifier, identity, timeouts)?;
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// A channel that is connected.
///
/// # Errors
/// What [`channel`] says, and everything that stands against a connection.
pub async fn connect(
    address: &str,
    verifier: Digest,
    identity: Option<ClientIdentity<'_>>,
    timeouts: Timeouts,
) -> Result<Channel, ConnectError> {
    let (endpoint, connector) = prepare(address, verifier, identity, timeouts)?;
    endpoint.connect_with_connector(connector).await.map_err(|error| {
        let problem = || ConnectError::Handshake { address: address.to_owned(), problem: error.to_string() };
        ConnectError::beneath(&error).unwrap_or_else(problem)
    })
}

/// The DER of each certificate in a PEM text, at least one.
///
/// # Errors
/// What is wrong with the text.
pub fn pem_certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).map(|c| c.map(|der| der.to_vec())).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("no certificate in PEM in it".to_owned()),
        certificates => certificates.map_err(|e| e.to_string()),
    }
}

fn prepare(
    address: &str,
    verifier: Digest,
    identity: Option<ClientIdentity<'_>>,
    timeouts: Timeouts,
) -> Result<(Endpoint, Connector), ConnectError> {
    let wrong = || ConnectError::Address(address.to_owned());
    let uri: Uri = address.parse().map_err(|_| wrong())?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri.authority().filter(|a| plain && a.port().is_some()).ok_or_else(wrong)?;
    require(uri.scheme_str() == Some("https"), wrong())?;

    let tls = TlsConnector::from(Arc::new(client_config(verifier, identity)?));
    let setup = |e: tonic::transport::Error| ConnectError::Setup(e.to_string());
    // tonic would put a TLS of its own under an https address; `origin` is what the calls carry.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(setup)?
        .origin(uri.clone())
        .timeout(timeouts.call)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    Ok((endpoint, Connector { address: Arc::from(authority.as_str()), tls, timeout: timeouts.connect }))
}

fn client_config(verifier: Digest, identity: Option<ClientIdentity<'_>>) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| ConnectError::Setup(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedRoot { verifier, provider }));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { certificates, key }) => {
            let unusable = |e: &dyn core::fmt::Display| ConnectError::Identity(e.to_string());
            let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>().map_err(|e| unusable(&e))?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| unusable(&e))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| unusable(&e))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Opens one connection: TCP, then pinned TLS.
#[derive(Clone)]
struct Connector {
    address: Arc<str>,
    tls: TlsConnector,
    timeout: Duration,
}

impl Connector {
    async fn open(self) -> Result<TokioIo<TlsStream<TcpStream>>, ConnectError> {
        let address = self.address.as_ref();
        let unreachable = |e: io::Error| ConnectError::Unreachable { address: address.to_owned(), problem: e.to_string() };
        let steps = async {
            let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
            tcp.set_nodelay(true).map_err(unreachable)?;
            let name = ServerName::try_from(SERVER_NAME).map_err(|e| ConnectError::Setup(e.to_string()))?;
            let stream = self.tls.connect(name, tcp).await.map_err(|e| explain(address, &e))?;
            let no_h2 = || ConnectError::Handshake { address: address.to_owned(), problem: "the server does not speak HTTP/2".to_owned() };
            require(stream.get_ref().1.alpn_protocol() == Some(b"h2"), no_h2())?;
            Ok(TokioIo::new(stream))
        };
        let timed_out = |_| ConnectError::TimedOut { address: address.to_owned(), after: self.timeout };
        tokio::time::timeout(self.timeout, steps).await.map_err(timed_out)?
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().open())
    }
}

/// What [`PinnedRoot`] said, where it was the one to say no.
fn explain(address: &str, error: &io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) = tls
        && let Some(reason) = inner.downcast_ref::<ConnectError>()
    {
        return reason.clone();
    }
    ConnectError::Handshake { address: address.to_owned(), problem: error.to_string() }
}

/// Accepts a server whose last certificate carries the pinned root key, and whose first holds under it.
#[derive(Debug)]
struct PinnedRoot {
    verifier: Digest,
    provider: Arc<CryptoProvider>,
}

impl PinnedRoot {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), ConnectError> {
        let does_not_hold = |e: webpki::Error| ConnectError::Certificate(e.to_string());
        let [root] = rest else { return Err(ConnectError::Certificates { found: rest.len() + 1 }) };
        let anchor = webpki::anchor_from_trusted_cert(root).map_err(does_not_hold)?;
        let found = Digest::of(&webpki::spki_for_anchor(&anchor));
        require(found == self.verifier, ConnectError::OtherVerifier { wanted: self.verifier, found })?;

        let leaf = webpki::EndEntityCert::try_from(leaf).map_err(does_not_hold)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = webpki::KeyUsage::required(SERVER_AUTH);
        leaf.verify_for_usage(algorithms, &[anchor], &[], now, usage, None, None).map_err(does_not_hold)?;
        leaf.verify_is_valid_for_subject_name(name).map_err(does_not_hold)
    }
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refuse = |e: ConnectError| rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(e))));
        self.verify(leaf, rest, name, now).map_err(refuse)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
