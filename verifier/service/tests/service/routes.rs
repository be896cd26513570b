//! Who may call what.

use std::fs;

use podseal_wire::{
    Empty,
    pinned::{ClientIdentity, connect},
};
use prost::Message as _;
use tonic::{Code, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

use crate::verifier::{Installation, Running, TIMEOUTS, reason};

/// Every method of the interface, as the descriptors have it.
fn routes() -> Vec<(String, String)> {
    let set = prost_types::FileDescriptorSet::decode(podseal_wire::DESCRIPTORS).unwrap();
    let mut routes = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            routes.extend(service.method.iter().map(|method| (name.clone(), format!("/{name}/{}", method.name()))));
        }
    }
    assert!(routes.len() > 20, "the walk found {} methods", routes.len());
    routes
}

/// An empty message is a message of every type.
async fn call(channel: Channel, path: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = PathAndQuery::try_from(path).unwrap();
    grpc.unary(tonic::Request::new(Empty {}), path, ProstCodec::<Empty, Empty>::default()).await.map(drop)
}

#[tokio::test]
async fn every_route_unauthenticated() {
    let verifier = Installation::new("").start();
    let (anonymous, admin) = (verifier.anonymous().await, verifier.as_admin().await);
    for (service, path) in routes() {
        let refused = call(anonymous.clone(), &path).await.expect_err(&path);
        if service == "podseal.v1.Attestation" {
            // Open to all, and an empty message earns nothing.
            assert_eq!(refused.code(), Code::InvalidArgument, "{path}: {refused}");
        } else {
            assert_eq!((refused.code(), reason(&refused)), (Code::Unauthenticated, "admin.certificate"), "{path}");
            let answered = call(admin.clone(), &path).await;
            assert!(answered.as_ref().err().is_none_or(|status| status.code() != Code::Unauthenticated), "{path}: {answered:?}");
        }
    }
    for path in ["/podseal.v1.Other/Anything", "/podseal.v1.AttestationX/Exchange", "/podseal.v1.Attestation", "/"] {
        assert_eq!(call(anonymous.clone(), path).await.unwrap_err().code(), Code::Unauthenticated, "{path}");
    }
    assert_eq!(call(admin, "/podseal.v1.Other/Anything").await.unwrap_err().code(), Code::Unimplemented);
}

async fn calls_as(verifier: &Running, certificates: &[u8], key: &[u8]) -> bool {
    let identity = ClientIdentity { certificates, key };
    // TLS 1.3: the client may learn only with the first answer that its certificate was refused.
    match connect(&verifier.address, verifier.installation.id, Some(identity), TIMEOUTS).await {
        Ok(channel) => call(channel, "/podseal.v1.Admin/ListSecrets").await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_certificate_counts_by_its_key_alone() {
    let verifier = Installation::new("").start();
    let pem = fs::read_to_string(verifier.installation.path("data/admin/admin.key.pem")).unwrap();
    let key = rcgen::KeyPair::from_pem(&pem).unwrap();
    let certificate = |key: &rcgen::KeyPair| {
        let params = rcgen::CertificateParams::new(vec!["some other name".to_owned()]).unwrap();
        params.self_signed(key).unwrap().pem()
    };
    assert!(calls_as(&verifier, certificate(&key).as_bytes(), pem.as_bytes()).await, "another certificate around the configured key");
    let stranger = rcgen::KeyPair::generate().unwrap();
    assert!(!calls_as(&verifier, certificate(&stranger).as_bytes(), stranger.serialize_pem().as_bytes()).await);
    // The administrator's certificate without its key.
    let copied = fs::read(verifier.installation.path("data/admin/admin.cert.pem")).unwrap();
    assert!(!calls_as(&verifier, &copied, stranger.serialize_pem().as_bytes()).await);
}

#[tokio::test]
async fn only_tls_13_is_spoken() {
    let verifier = Installation::new("").start();
    let address = verifier.address.strip_prefix("https://").unwrap().to_owned();
    for (version, spoken) in [(&rustls::version::TLS12, false), (&rustls::version::TLS13, true)] {
        let root = tokio_rustls::TlsConnector::from(std::sync::Arc::new(
            rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth(),
        ));
        let tcp = tokio::net::TcpStream::connect(&address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("verifier.podseal").unwrap();
        let error = root.connect(name, tcp).await.unwrap_err().to_string();
        // With 1.3 it comes as far as the certificate, whose root this client does not know.
        assert_eq!(error.contains("certificate"), spoken, "{error}");
    }
}
