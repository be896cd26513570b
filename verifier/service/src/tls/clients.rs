//! Client certificates: only the key counts.

use std::{collections::BTreeSet, fmt};

use podseal_protocol::Digest;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

/// SHA-256 of the certificate's SubjectPublicKeyInfo; `None` when it is no certificate.
#[must_use]
pub fn spki_digest(certificate: &CertificateDer<'_>) -> Option<Digest> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    Some(Digest::of(&certificate.subject_public_key_info()))
}

/// Accepts a certificate whose key is configured, whatever else it says; the handshake proves that the client holds the key
/// (RFC 8446, section 4.4.3). No certificate is accepted too: what an anonymous client may do is decided per method.
pub(super) struct ByKey {
    admins: BTreeSet<Digest>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ByKey {
    pub(super) fn new(admins: BTreeSet<Digest>, provider: &CryptoProvider) -> Self {
        Self { admins, algorithms: provider.signature_verification_algorithms }
    }
}

impl fmt::Debug for ByKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByKey({} keys)", self.admins.len())
    }
}

impl ClientCertVerifier for ByKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(&self, leaf: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        let digest = spki_digest(leaf).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.admins.contains(&digest) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
