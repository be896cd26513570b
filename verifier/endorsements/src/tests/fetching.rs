//! What a service may answer, and what then happens.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use podseal_appraisal::endorsement::{Endorsement, LARGEST, Service, ServiceKind};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use super::{
    maker::{NOW, crl, place},
    server::{Does, Server, http, ok},
};
use crate::{AddressError, Deadlines, FetchError, Fetcher, Place};

const TOTAL: Duration = Duration::from_millis(1500);

fn fetcher(places: Vec<Place>) -> Fetcher {
    let deadlines = Deadlines { connect: Duration::from_millis(400), total: TOTAL, retry: Duration::from_secs(60) };
    Fetcher::new(places, &deadlines, Path::new("/nowhere")).unwrap()
}

/// The number that was fetched, or why nothing was.
async fn fetch(fetcher: &Fetcher, endorsement: &Endorsement, now: u64) -> Result<String, String> {
    let fetched = fetcher.fetch(endorsement, now, tokio::time::Instant::now() + TOTAL).await;
    fetched.map(|(_, facts)| facts.number.unwrap().to_string()).map_err(|error| error.to_string())
}

async fn fetch_of(server: &Server, now: u64) -> Result<String, String> {
    let endorsement = Endorsement::crl(&server.url("/a.crl")).unwrap();
    fetch(&fetcher(vec![place(ServiceKind::CrlSite, &server.url(""))]), &endorsement, now).await
}

#[tokio::test]
async fn answers_that_are_of_no_use() {
    let good = crl(5, 2026);
    let cut = {
        let mut whole = http("200 OK", &[], &good);
        whole.truncate(whole.len() - 7);
        whole
    };
    let without_length = [b"HTTP/1.1 200 OK\r\n\r\n", &good[..good.len() - 7]].concat();
    let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40).into_bytes();
    let endless_head = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'x'; 1 << 17]].concat();
    let cases: Vec<(&str, Does, u64, &str)> = vec![
        ("not there", Does::Send(http("404 Not Found", &[], b"none")), NOW, "answered 404 Not Found, wanted 200"),
        ("redirect", Does::Send(http("302 Found", &[("Location", "http://169.254.169.254/")], b"")), NOW, "answered 302"),
        ("a portal's page", ok(b"<html>Please log in</html>"), NOW, "no revocation list"),
        ("nothing", ok(b""), NOW, "no revocation list"),
        ("cut short", Does::Send(cut), NOW, "the connection broke"),
        ("cut short, where nobody counts", Does::Send(without_length), NOW, "no revocation list"),
        ("no HTTP", Does::Send(b"\x16\x03\x01 hello\r\n\r\n".to_vec()), NOW, "no HTTP"),
        ("closed at once", Does::Send(Vec::new()), NOW, "the connection broke"),
        ("huge", Does::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), NOW, "the answer is longer than"),
        ("said to be huge", Does::Flood(announced), NOW, "the answer is longer than"),
        ("huge head", Does::Send(endless_head), NOW, "no HTTP"),
        ("slow", Does::After(Duration::from_secs(60), Vec::new()), NOW, "no answer in time"),
        ("stale", ok(&crl(5, 2024)), NOW, "it was good until 2025-01-01T00:00:00Z"),
        ("from the future", ok(&crl(5, 2027)), NOW, "it is from the future (issued 2027-01-01T00:00:00Z)"),
    ];
    for (what, does, now, wanted) in cases {
        let server = Server::start(move |_, _| does.clone()).await;
        let started = Instant::now();
        let problem = fetch_of(&server, now).await.unwrap_err();
        assert!(problem.contains(wanted), "{what}: found {problem}, wanted {wanted}");
        assert!(started.elapsed() < TOTAL + Duration::from_millis(500), "{what}: {:?}", started.elapsed());
    }
    let long = vec![0x30; LARGEST + 1];
    let server = Server::start(move |_, _| ok(&long)).await;
    assert!(fetch_of(&server, NOW).await.unwrap_err().contains("longer than"));
}

#[tokio::test]
async fn trouble_that_passes_is_tried_again_a_few_times() {
    let good = crl(5, 2026);
    let server = Server::start(move |_, before| match before {
        0 => Does::Send(http("500 Internal Server Error", &[], b"")),
        1 => Does::Send(Vec::new()),
        _ => ok(&good),
    });
    let server = server.await;
    assert_eq!(fetch_of(&server, NOW).await.as_deref(), Ok("5"));
    assert_eq!(server.asked("/a.crl"), 3);
    let down = Server::start(|_, _| Does::Send(http("500 Internal Server Error", &[], b""))).await;
    assert!(fetch_of(&down, NOW).await.unwrap_err().contains("answered 500"));
    assert_eq!(down.asked("/a.crl"), 3);
    let nobody = Endorsement::crl("http://127.0.0.1:1/a.crl").unwrap();
    let refused = fetch(&fetcher(vec![place(ServiceKind::CrlSite, "http://127.0.0.1:1/")]), &nobody, NOW).await;
    assert!(refused.unwrap_err().contains("no connection"));
}

#[tokio::test]
async fn service_that_wants_to_be_left_alone_is() {
    let dated = [("Retry-After", "Mon, 01 Jun 2026 00:02:00 GMT"), ("Date", "Mon, 01 Jun 2026 00:00:00 GMT")];
    for fields in [&[("Retry-After", "120")][..], &dated] {
        let (good, busy) = (crl(5, 2026), http("429 Too Many Requests", fields, b""));
        let server = Server::start(move |_, before| if before == 0 { Does::Send(busy.clone()) } else { ok(&good) }).await;
        let fetcher = fetcher(vec![place(ServiceKind::CrlSite, &server.url(""))]);
        let [a, b] = ["/a.crl", "/b.crl"].map(|path| Endorsement::crl(&server.url(path)).unwrap());
        assert!(fetch(&fetcher, &a, NOW).await.unwrap_err().contains("to be asked again in 120 s"));
        let other = fetch(&fetcher, &b, NOW + 119).await.unwrap_err();
        assert!(other.contains("asked to be left alone for 1 s more"), "{other}");
        assert_eq!((server.asked("/a.crl"), server.asked("/b.crl")), (1, 0));
        assert_eq!(fetch(&fetcher, &a, NOW + 120).await.as_deref(), Ok("5"));
    }
    // A short pause is waited for; an absurd one is not taken at its word.
    let (good, busy) = (crl(5, 2026), http("503 Service Unavailable", &[("Retry-After", "1")], b""));
    let server = Server::start(move |_, before| if before == 0 { Does::Send(busy.clone()) } else { ok(&good) }).await;
    let started = Instant::now();
    assert_eq!(fetch_of(&server, NOW).await.as_deref(), Ok("5"));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let server = Server::start(|_, _| Does::Send(http("503 Service Unavailable", &[("Retry-After", "99999999999")], b""))).await;
    assert!(fetch_of(&server, NOW).await.unwrap_err().contains("in 3600 s"));
}

#[tokio::test]
async fn the_next_service_is_asked_where_one_fails() {
    let wrong = Server::start(|_, _| ok(b"no list")).await;
    let good = crl(6, 2026);
    let right = Server::start(move |_, _| ok(&good)).await;
    let fetcher = fetcher(vec![
        place(ServiceKind::AmdKds, &wrong.url("/kds")),
        place(ServiceKind::IntelPcs, &wrong.url("/pcs")),
        place(ServiceKind::IntelPccs, &wrong.url("/pccs")),
        place(ServiceKind::IntelCertificates, &right.url("/here/")),
    ]);
    assert_eq!(fetch(&fetcher, &Endorsement::IntelRootCrl, NOW).await.as_deref(), Ok("6"));
    assert_eq!((wrong.asked("/pccs/sgx/certification/v4/rootcacrl"), right.asked("/here/IntelSGXRootCA.der")), (1, 1));
    let of_nobody = fetcher.fetch(&Endorsement::crl("http://other.example/a").unwrap(), NOW, tokio::time::Instant::now() + TOTAL).await;
    assert_eq!(of_nobody, Err(FetchError::NoService));
}

#[tokio::test]
async fn azure_is_asked_as_it_wants_to_be() {
    let server = Server::start(|_, _| Does::Send(http("404 Not Found", &[], b""))).await;
    let fetcher = fetcher(vec![place(ServiceKind::AzureThim, &server.url(""))]);
    assert!(fetch(&fetcher, &"amd-milan-chain".parse().unwrap(), NOW).await.is_err());
    let heads = server.heads().to_ascii_lowercase();
    assert!(heads.starts_with("get /metadata/thim/amd/certification http/1.1\r\n") && heads.contains("\r\nmetadata: true\r\n"), "{heads}");
    assert!(heads.contains(&format!("\r\nhost: {}\r\n", server.address)), "{heads}");
}

#[test]
fn plain_http_only_where_it_is_said() {
    let new = |url: &str, plain| Place::new(Service { kind: ServiceKind::AmdKds, url: url.to_owned() }, plain);
    assert!(new("https://kdsintf.amd.com", false).is_ok() && new("http://cache.example:8081/base", true).is_ok());
    assert!(matches!(new("http://kdsintf.amd.com", false), Err(AddressError::Plain(_))));
    for wrong in ["", "kdsintf.amd.com", "/x", "ftp://h", "https://", "https://u:p@h", "https://h/?x", "https://h h"] {
        assert!(matches!(new(wrong, true), Err(AddressError::Form(_))), "{wrong}");
    }
}

/// A server's certificate for `localhost`, and an acceptor that shows it.
fn tls() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config =
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn tls_ends_at_a_configured_root() {
    let (root, acceptor) = tls();
    let folder = tempfile::tempdir().unwrap();
    let good = crl(5, 2026);
    let server = Server::start_tls(acceptor, move |_, _| ok(&good)).await;
    let url = format!("https://localhost:{}", server.address.port());
    let endorsement = Endorsement::crl(&format!("{url}/a.crl")).unwrap();
    let file = folder.path().join("roots.pem");
    let with = |pem: &str| {
        fs::write(&file, pem).unwrap();
        let place = Place::new(Service { kind: ServiceKind::CrlSite, url: url.clone() }, false).unwrap();
        Fetcher::new(vec![place], &Deadlines { connect: TOTAL, ..Deadlines::default() }, &file)
    };
    assert_eq!(fetch(&with(&root).unwrap(), &endorsement, NOW).await.as_deref(), Ok("5"));
    let problem = fetch(&with(&tls().0).unwrap(), &endorsement, NOW).await.unwrap_err();
    assert!(problem.contains("no connection") && problem.contains("certificate"), "{problem}");
    assert!(with("no certificate").unwrap_err().to_string().contains("found no certificate that can be a root"));
}
