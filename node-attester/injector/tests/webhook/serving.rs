//! `run` over real TLS: routes, bounds, deadlines, a new certificate, the end.

use std::{fs, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::injector::{Serving, Site, VERIFIER, run, text};

const REQUEST: &str = include_str!("../fixtures/one-container/request.json");

/// As an API server connects: by the Service's name, trusting the `caBundle` alone.
async fn connect(site: &Site, serving: &Serving, version: &'static SupportedProtocolVersion) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(site.tls("ca.crt")).expect("PEM")).expect("a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(serving.address).await?;
    TlsConnector::from(Arc::new(config)).connect("podseal-injector.podseal.svc".try_into().expect("a name"), tcp).await
}

async fn client(site: &Site, serving: &Serving) -> SendRequest<Full<Bytes>> {
    let tls = connect(site, serving, &version::TLS13).await.expect("TLS");
    let (sender, connection) = handshake(TokioIo::new(tls)).await.expect("HTTP");
    tokio::spawn(connection);
    sender
}

async fn send(client: &mut SendRequest<Full<Bytes>>, method: &str, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
    let request = Request::builder().method(method).uri(path).header("host", "podseal-injector.podseal.svc");
    let request = request.header("content-type", "application/json").body(Full::new(body.into())).expect("a request");
    let response = client.send_request(request).await.expect("a response");
    (response.status(), response.into_body().collect().await.expect("a body").to_bytes())
}

async fn shown(site: &Site, serving: &Serving) -> CertificateDer<'static> {
    let tls = connect(site, serving, &version::TLS13).await.expect("TLS");
    tls.get_ref().1.peer_certificates().and_then(<[_]>::first).expect("a certificate").clone().into_owned()
}

#[tokio::test]
async fn the_server_answers_what_review_answers() {
    let site = Site::new("");
    let serving = site.start();
    let mut client = client(&site, &serving).await;
    let (status, body) = send(&mut client, "POST", "/mutate?timeout=5s", REQUEST).await;
    let offline = run(&["review", "--verifier", VERIFIER], REQUEST.as_bytes()).stdout;
    assert_eq!((status, text(&body) + "\n"), (StatusCode::OK, text(&offline)));
    for (method, path, expected) in [
        ("GET", "/healthz", StatusCode::OK),
        ("GET", "/readyz", StatusCode::OK),
        ("GET", "/mutate", StatusCode::METHOD_NOT_ALLOWED),
        ("POST", "/healthz", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/", StatusCode::NOT_FOUND),
        ("POST", "/mutate/", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(send(&mut client, method, path, "").await.0, expected, "{method} {path}");
    }
    let (status, body) = send(&mut client, "POST", "/mutate", "{}").await;
    assert_eq!((status, text(&body).contains("not an AdmissionReview")), (StatusCode::BAD_REQUEST, true));
}

#[tokio::test]
async fn tls_is_1_2_or_1_3_and_nothing_else() {
    let site = Site::new("");
    let serving = site.start();
    for version in [&version::TLS12, &version::TLS13] {
        let tls = connect(&site, &serving, version).await.expect("TLS");
        assert_eq!(tls.get_ref().1.protocol_version(), Some(version.version));
    }
    let mut plain = TcpStream::connect(serving.address).await.expect("TCP");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_body_is_bounded_in_length_and_time() {
    let site = Site::new("request_ms = 300");
    let serving = site.start();
    let (status, _) = send(&mut client(&site, &serving).await, "POST", "/mutate", vec![b' '; (3 << 20) + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let mut tls = connect(&site, &serving, &version::TLS13).await.expect("TLS");
    tls.write_all(b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await.expect("sent");
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn no_more_connections_than_configured() {
    let site = Site::new("connections = 1");
    let serving = site.start();
    let mut first = client(&site, &serving).await;
    assert_eq!(send(&mut first, "GET", "/healthz", "").await.0, StatusCode::OK);
    let second = connect(&site, &serving, &version::TLS13);
    tokio::pin!(second);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut second).await.is_err(), "a second connection beside the first");
    drop(first);
    second.await.expect("its turn comes");
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let site = Site::new("");
    let mut serving = site.start();
    let mut before = client(&site, &serving).await;
    let old = shown(&site, &serving).await;

    // A key that does not fit is not taken.
    let key = fs::read(site.tls("tls.key")).expect("the key");
    fs::copy(site.tls("ca.key"), site.tls("tls.key")).expect("another key");
    serving.says("the certificate stays as it is");
    assert_eq!(shown(&site, &serving).await, old);
    fs::write(site.tls("tls.key"), key).expect("the key is back");

    let made = site.certificate(&[]);
    assert!(made.status.success() && text(&made.stdout).contains("CA           as before"), "{made:?}");
    serving.says("a new certificate is shown from now on");
    let new = CertificateDer::from_pem_file(site.tls("tls.crt")).expect("PEM");
    assert_ne!(new, old);
    assert_eq!(shown(&site, &serving).await, new);
    assert_eq!(send(&mut before, "GET", "/readyz", "").await.0, StatusCode::OK, "a connection from before goes on");
}

#[tokio::test]
async fn sigterm_finishes_what_has_begun() {
    let site = Site::new("leave_ms = 500\ndrain_ms = 10000\nrequest_ms = 10000");
    let mut serving = site.start();
    let mut idle = client(&site, &serving).await;
    let mut begun = connect(&site, &serving, &version::TLS13).await.expect("TLS");
    let head = format!("POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", REQUEST.len());
    begun.write_all(head.as_bytes()).await.expect("sent");

    serving.terminate();
    serving.says("SIGTERM");
    let mut late = client(&site, &serving).await;
    assert_eq!(send(&mut late, "GET", "/readyz", "").await.0, StatusCode::SERVICE_UNAVAILABLE, "not ready, and still serving");
    assert_eq!(send(&mut idle, "POST", "/mutate", REQUEST).await.0, StatusCode::OK, "until nobody is sent here any more");
    assert!(idle.ready().await.is_err(), "and each connection ends with its answer");
    // Until it accepts no more.
    while TcpStream::connect(serving.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.write_all(REQUEST.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = begun.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    serving.says("stopped");
    assert_eq!(serving.code(), Some(0));
}
