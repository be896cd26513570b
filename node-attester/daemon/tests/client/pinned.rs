//! A server that is pinned by its root, as a verifier is, and answers as a test says.

use std::time::Duration;

use podseal_node_attester::{
    client::Client,
    config::Verifier,
    network::{VerifierCalls, Way, serve},
};
use podseal_protocol::{Challenge, Digest, Limits, MacKey, Purpose};
use podseal_wire::{
    attestation_server::{Attestation, AttestationServer},
    pinned::{SERVER_NAME, Timeouts},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData as _};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};

const NODE: &str = "node-a";

/// A verifier's root, and the server under it.
pub(crate) struct Pinned {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Pinned {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.root.key().subject_public_key_info())
    }

    /// A client that pins this root and reaches a server which answers so.
    pub(crate) async fn client(&self, service: impl Attestation) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let chain = leaf.signed_by(&key, &self.root).unwrap().pem() + &self.root.pem();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key.serialize_pem()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let server = Server::builder().tls_config(tls).unwrap().add_service(AttestationServer::new(service));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(5) };
        let calls = VerifierCalls::new(&Verifier { address, id: self.id(), timeouts }, NODE, &Limits::DEFAULT).unwrap();
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        tokio::spawn(serve(theirs, calls, Limits::DEFAULT));
        Client::new(Way::over(ours, timeouts, Limits::DEFAULT), self.id(), NODE, Limits::DEFAULT)
    }

    pub(crate) fn challenge(&self, change: impl FnOnce(&mut Challenge)) -> Vec<u8> {
        let mut challenge = Challenge {
            verifier: self.id(),
            epoch: 1,
            purpose: Purpose::Release,
            node: NODE.to_owned(),
            issued: 1_000,
            expires: 1_060,
            random: [7; 32],
        };
        change(&mut challenge);
        challenge.issue(&MacKey::new([1; 32].into()))
    }
}
