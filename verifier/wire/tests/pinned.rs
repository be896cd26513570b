//! The pinned channel against real TLS servers: the honest one is reached, every other is refused for its own reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{sync::Arc, time::Duration};

use podseal_protocol::Digest;
use podseal_wire::pinned::{ConnectError, SERVER_NAME, Timeouts, connect};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData as _, date_time_ymd,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(5) };

type Root = CertifiedIssuer<'static, KeyPair>;

fn root() -> Root {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "root");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(root: &Root) -> Digest {
    Digest::of(&root.key().subject_public_key_info())
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

struct Server {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
    speaks: &'static [u8],
}

impl Server {
    fn new(root: &Root, leaf: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, root).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Self { chain: vec![certificate.der().clone(), root.der().clone()], key, version: &rustls::version::TLS13, speaks: b"h2" }
    }

    /// Serves TLS on a free port until the test ends.
    async fn start(self) -> String {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .unwrap();
        config.alpn_protocols = Some(self.speaks.to_vec()).filter(|name| !name.is_empty()).into_iter().collect();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut received = Vec::new();
                    stream.read_to_end(&mut received).await.ok();
                }
            }
        });
        address
    }
}

async fn refusal(server: Server, pinned: Digest) -> ConnectError {
    connect(&server.start().await, pinned, None, TIMEOUTS).await.expect_err("this server is refused")
}

#[tokio::test]
async fn the_pinned_verifier_is_reached() {
    let root = root();
    let address = Server::new(&root, &leaf_params()).start().await;
    connect(&address, identity(&root), None, TIMEOUTS).await.unwrap();
}

#[tokio::test]
async fn another_verifier_is_refused() {
    let (ours, theirs) = (root(), root());
    let error = refusal(Server::new(&theirs, &leaf_params()), identity(&ours)).await;
    assert!(
        matches!(error, ConnectError::OtherVerifier { wanted, found } if wanted == identity(&ours) && found == identity(&theirs)),
        "{error}"
    );
}

/// The pinned root's certificate is public: presenting it proves nothing.
#[tokio::test]
async fn a_borrowed_root_is_refused() {
    let (ours, theirs) = (root(), root());
    let mut server = Server::new(&theirs, &leaf_params());
    server.chain[1] = ours.der().clone();
    let error = refusal(server, identity(&ours)).await;
    assert!(matches!(error, ConnectError::Certificate(_)), "{error}");
}

#[tokio::test]
async fn one_certificate_or_three_are_refused() {
    let root = root();
    for count in [1, 3] {
        let mut server = Server::new(&root, &leaf_params());
        server.chain.push(root.der().clone());
        server.chain.truncate(count);
        let error = refusal(server, identity(&root)).await;
        assert!(matches!(error, ConnectError::Certificates { found } if found == count), "{error}");
    }
}

#[tokio::test]
async fn a_leaf_that_does_not_hold_is_refused() {
    let root = root();
    let mut other_name = leaf_params();
    other_name.subject_alt_names = CertificateParams::new(["example.test".to_owned()]).unwrap().subject_alt_names;
    let mut expired = leaf_params();
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let mut for_clients = leaf_params();
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut for_anything = leaf_params();
    for_anything.extended_key_usages = Vec::new();
    for leaf in [other_name, expired, for_clients, for_anything] {
        let error = refusal(Server::new(&root, &leaf), identity(&root)).await;
        assert!(matches!(error, ConnectError::Certificate(_)), "{error}");
    }
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let root = root();
    let mut server = Server::new(&root, &leaf_params());
    server.version = &rustls::version::TLS12;
    let error = refusal(server, identity(&root)).await;
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_no_http_2_is_refused() {
    let root = root();
    let mut server = Server::new(&root, &leaf_params());
    server.speaks = b"";
    let error = refusal(server, identity(&root)).await;
    assert!(matches!(&error, ConnectError::Handshake { problem, .. } if problem.contains("HTTP/2")), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = connect(&address, Digest([0; 32]), None, TIMEOUTS).await.expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_address_without_https_or_port_is_refused() {
    for address in ["http://localhost:1", "https://localhost", "localhost:1", "https://localhost:1/path", ""] {
        let error = connect(address, Digest([0; 32]), None, TIMEOUTS).await.expect_err("not an address");
        assert!(matches!(error, ConnectError::Address(_)), "{address}: {error}");
    }
}
