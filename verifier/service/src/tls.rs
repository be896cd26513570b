//! TLS 1.3, and nothing older. The server presents \[leaf, root\]; clients pin the root's key. The leaf's key is born at each start.
//!
//! A client certificate is optional, and is only a carrier of its key: who holds a key that the configuration names is that administrator.

mod clients;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use p256::ecdsa::Signature;
use podseal_protocol::{Digest, key::SecretKey};
use podseal_wire::pinned::SERVER_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SignatureAlgorithm, SigningKey,
};
use rustls::{ServerConfig, crypto::aws_lc_rs, server::NoServerSessionStorage, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

pub use clients::spki_digest;

/// Validity before and after the start, in seconds: an hour for clocks that differ, 400 days.
const VALID_BEFORE: u64 = 3_600;
const VALID_AFTER: u64 = 400 * 86_400;
/// In the year 8307: X.509 has four digits for a year (RFC 5280, section 4.1.2.5).
const LATEST: u64 = 200_000_000_000;

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A certificate was not made.
    #[error("making a certificate: {0}: check the clock")]
    Certificate(#[from] rcgen::Error),
    /// The configuration was refused.
    #[error("TLS: {0}: check how the verifier was built")]
    Configuration(#[from] rustls::Error),
    /// The clock is out of bounds.
    #[error("the clock says {0} s since 1970, for which no certificate can be made: set it")]
    Clock(u64),
}

/// The root, as the certificate maker wants it.
struct RootKey<'a> {
    key: &'a SecretKey,
    public: [u8; podseal_protocol::key::PUBLIC_KEY_LENGTH],
}

impl PublicKeyData for RootKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for RootKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = Signature::from_slice(&self.key.sign(message)).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

/// A server's certificates, leaf first, and the leaf's key.
pub struct ServerIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: Zeroizing<Vec<u8>>,
}

fn validity(params: &mut CertificateParams, now: u64) -> Result<(), TlsError> {
    if !(VALID_BEFORE..LATEST).contains(&now) {
        return Err(TlsError::Clock(now));
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now - VALID_BEFORE);
    params.not_after = epoch + Duration::from_secs(now + VALID_AFTER);
    Ok(())
}

/// Makes a leaf with a fresh key, certified by the root.
///
/// # Errors
/// [`TlsError`].
pub fn issue(root: &SecretKey, now: u64) -> Result<ServerIdentity, TlsError> {
    let root_key = RootKey { key: root, public: *root.public().as_bytes() };
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Podseal verifier root");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    validity(&mut ca, now)?;
    let root_certificate = ca.self_signed(&root_key)?;

    let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut leaf = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    validity(&mut leaf, now)?;
    let certificate = leaf.signed_by(&leaf_key, &Issuer::from_params(&ca, &root_key))?;
    Ok(ServerIdentity {
        chain: vec![certificate.der().clone(), root_certificate.der().clone()],
        key: Zeroizing::new(leaf_key.serialize_der()),
    })
}

/// An administrator's new credential: certificate and key in PEM, and the digest that the configuration names.
pub struct AdminCredential {
    /// Self-signed, for the key alone.
    pub certificate: String,
    /// PKCS#8.
    pub key: Zeroizing<String>,
    /// SHA-256 of the SPKI.
    pub spki: Digest,
}

/// Makes a client key and a self-signed certificate around it.
///
/// # Errors
/// [`TlsError`].
pub fn new_admin(name: &str, now: u64) -> Result<AdminCredential, TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    validity(&mut params, now)?;
    let certificate = params.self_signed(&key)?.pem();
    let spki = Digest::of(&key.subject_public_key_info());
    Ok(AdminCredential { certificate, key: Zeroizing::new(key.serialize_pem()), spki })
}

/// The server's TLS: 1.3 only, no resumption, clients by key or anonymous.
///
/// # Errors
/// [`TlsError::Configuration`].
pub fn server_config(identity: &ServerIdentity, admins: BTreeSet<Digest>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = Arc::new(clients::ByKey::new(admins, &provider));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.to_vec()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(identity.chain.clone(), key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
