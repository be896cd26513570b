//! The cluster's certificate authority, the key that signs its tokens, and who its members are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose, RsaKeySize};
use serde_json::json;

use super::ADDRESS;
use crate::error::BenchError;

/// A certificate authority, new with each cluster, and a folder with everything it gave out.
#[derive(Debug)]
pub(super) struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

/// A certificate and its key, PEM files.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    /// Draws the root and the tokens' key, in `dir` (made new).
    pub(super) fn new(dir: &Path) -> Result<Self, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
        let made = || {
            let mut params = CertificateParams::default();
            params.distinguished_name = name("podseal-bench", None);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
            CertifiedIssuer::self_signed(params, KeyPair::generate()?)
        };
        let authority = Self { root: made().map_err(refused)?, dir: dir.to_path_buf() };
        authority.write("ca.crt", &authority.root.pem())?;
        authority.write("ca.key", &authority.root.key().serialize_pem())?;
        // RSA with 2048 bits, RS256: as the clouds' clusters have it.
        let tokens = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(refused)?;
        authority.write("sa.key", &tokens.serialize_pem())?;
        authority.write("sa.pub", &tokens.public_key_pem())?;
        Ok(authority)
    }

    /// `ca.crt` and `ca.key` of the authority; `sa.key` and `sa.pub` for tokens.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// A certificate for both ends of TLS: for who connects as `common_name` in `group`, and who is reached at `addresses`.
    pub(super) fn issue(&self, file: &str, common_name: &str, group: Option<&str>, addresses: &[&str]) -> Result<Credential, BenchError> {
        let key = KeyPair::generate().map_err(refused)?;
        let made = || {
            let mut params = CertificateParams::new(addresses.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            params.distinguished_name = name(common_name, group);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth, rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            params.signed_by(&key, &self.root)
        };
        let certificate = made().map_err(refused)?.pem();
        Ok(Credential {
            certificate: self.write(&format!("{file}.crt"), &certificate)?,
            key: self.write(&format!("{file}.key"), &key.serialize_pem())?,
        })
    }

    /// A kubeconfig file for a user of a group.
    pub(super) fn kubeconfig(&self, file: &str, user: &str, group: Option<&str>) -> Result<String, BenchError> {
        let own = self.issue(file, user, group, &[])?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": user } }],
            "clusters": [{ "name": "bench", "cluster": { "server": format!("https://{ADDRESS}"), "certificate-authority": self.file("ca.crt") } }],
            "users": [{ "name": user, "user": { "client-certificate": own.certificate, "client-key": own.key } }],
        });
        self.write(&format!("{file}.conf"), &config.to_string())
    }

    fn write(&self, name: &str, text: &str) -> Result<String, BenchError> {
        let path = self.dir.join(name);
        let written = fs::write(&path, text).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.map_err(BenchError::io(format!("write {}", path.display())))?;
        Ok(path.display().to_string())
    }
}

fn name(common_name: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name
}

fn refused(error: rcgen::Error) -> BenchError {
    BenchError::answer("rcgen", error.to_string(), "a certificate")
}
