//! A CA of the injector's own, and certificates under it, for clusters without cert-manager.
//!
//! A folder holds `ca.crt`, `ca.key`, `tls.crt`, `tls.key`. Who can read `ca.key` can be the webhook in the API server's eyes, for as long as the
//! webhook's configuration has this CA in `caBundle`.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use thiserror::Error;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
use zeroize::Zeroizing;

const CA_NAME: &str = "Podseal injector CA";
const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const DAY: u64 = 86_400;
/// For clocks that differ, in seconds.
const VALID_BEFORE: u64 = 3_600;
/// In the year 8307: X.509 has four digits for a year (RFC 5280, section 4.1.2.5).
const LATEST: u64 = 200_000_000_000;

/// What to make.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The Service by which the API server calls the webhook.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// The folder; made if missing, mode 0700.
    pub directory: PathBuf,
    /// Lifetime of the serving certificate, in days.
    pub days: u32,
    /// Lifetime of a CA that has to be made, in days.
    pub ca_days: u32,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The name that the certificate is for.
    pub name: String,
    /// Whether the CA is new: then the webhook's configuration needs its certificate.
    pub ca_is_new: bool,
    /// For `caBundle`: base64 of the CA's certificate in PEM.
    pub ca_bundle: String,
}

/// Why nothing was made.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Not a name of Kubernetes.
    #[error("{option}: found {found:?}, wanted a name of Kubernetes: lower-case letters, digits and -, at most 63 characters")]
    Name {
        /// Which option.
        option: &'static str,
        /// What it says.
        found: String,
    },
    /// The clock is out of bounds.
    #[error("the clock, or a lifetime, is out of bounds: set the clock, or take fewer days")]
    Time,
    /// A file or folder.
    #[error("{path}: {problem}: correct its owner and mode, or take another --out")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
    /// The CA that is there is none of ours, or is of no use.
    #[error("{directory}: {problem}: move ca.crt and ca.key away, and a new CA is made; then put it into the webhook's caBundle", directory = .directory.display())]
    Ca {
        /// The folder.
        directory: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate was not made.
    #[error("making a certificate: {0}: check how the injector was built")]
    Making(#[from] rcgen::Error),
}

/// The CA: its key, and its certificate in PEM.
struct Ca {
    key: KeyPair,
    certificate: String,
    is_new: bool,
}

/// Makes a serving certificate with a fresh key, under the CA of the folder, or a new one where there is none.
///
/// # Errors
/// [`CertificateError`]; files that are there stay as they are.
pub fn make(wanted: &Wanted) -> Result<Made, CertificateError> {
    is_name("--service", &wanted.service)?;
    is_name("--namespace", &wanted.namespace)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|_| CertificateError::Time)?.as_secs();
    make_folder(&wanted.directory)?;
    let ca = match existing(&wanted.directory, now.saturating_add(u64::from(wanted.days) * DAY))? {
        Some(ca) => ca,
        None => new_ca(now, wanted.ca_days)?,
    };
    let name = format!("{}.{}.svc", wanted.service, wanted.namespace);
    let (certificate, key) = serving(&ca.key, &name, now, wanted.days)?;
    if ca.is_new {
        write(&wanted.directory, CA_KEY, ca.key.serialize_pem().as_bytes())?;
        write(&wanted.directory, CA_CERTIFICATE, ca.certificate.as_bytes())?;
    }
    // Between the two a running injector sees a pair that does not fit, and keeps what it has until it looks again.
    write(&wanted.directory, "tls.key", key.as_bytes())?;
    write(&wanted.directory, "tls.crt", certificate.as_bytes())?;
    Ok(Made { name, ca_is_new: ca.is_new, ca_bundle: STANDARD.encode(&ca.certificate) })
}

/// RFC 1123 labels, as Kubernetes has them for Services and namespaces.
fn is_name(option: &'static str, found: &str) -> Result<(), CertificateError> {
    let usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = found.bytes().next().is_some_and(usual) && found.bytes().next_back().is_some_and(usual);
    if ends && found.len() <= 63 && found.bytes().all(|byte| usual(byte) || byte == b'-') {
        return Ok(());
    }
    Err(CertificateError::Name { option, found: found.to_owned() })
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn validity(params: &mut CertificateParams, now: u64, days: u32) -> Result<(), CertificateError> {
    let end = now.saturating_add(u64::from(days) * DAY);
    if now < VALID_BEFORE || end > LATEST {
        return Err(CertificateError::Time);
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now - VALID_BEFORE);
    params.not_after = epoch + Duration::from_secs(end);
    Ok(())
}

fn new_ca(now: u64, days: u32) -> Result<Ca, CertificateError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = ca_params();
    validity(&mut params, now, days)?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Ca { key, certificate, is_new: true })
}

/// Certificate and key of the server, in PEM.
fn serving(ca: &KeyPair, name: &str, now: u64, days: u32) -> Result<(String, Zeroizing<String>), CertificateError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    // Not the DNS name: 64 characters are all that a common name may have (RFC 5280, appendix A.1).
    params.distinguished_name.push(DnType::CommonName, "Podseal injector");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, now, days)?;
    let certificate = params.signed_by(&key, &Issuer::from_params(&ca_params(), ca))?.pem();
    Ok((certificate, Zeroizing::new(key.serialize_pem())))
}

/// The CA that the folder has, if it has one; it must outlive `end`, in seconds since 1970.
fn existing(directory: &Path, end: u64) -> Result<Option<Ca>, CertificateError> {
    let read = |name| match fs::read_to_string(directory.join(name)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(CertificateError::File { path: directory.join(name), problem }),
    };
    let unusable = |problem: String| CertificateError::Ca { directory: directory.to_owned(), problem };
    let (certificate, key) = match (read(CA_CERTIFICATE)?, read(CA_KEY)?) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => return Err(unusable(format!("found one of {CA_CERTIFICATE} and {CA_KEY}, wanted both or none"))),
    };
    let key = KeyPair::from_pem(&key).map_err(|problem| unusable(format!("{CA_KEY}: {problem}")))?;
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|problem| unusable(format!("{CA_CERTIFICATE}: {problem}")))?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|problem| unusable(format!("{CA_CERTIFICATE}: {problem}")))?;
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err(unusable(format!("{CA_KEY} is not the key of {CA_CERTIFICATE}")));
    }
    if !parsed.subject().iter_common_name().any(|name| name.as_str() == Ok(CA_NAME)) {
        return Err(unusable(format!("{CA_CERTIFICATE} was not made by this program")));
    }
    if u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default() < end {
        return Err(unusable(format!(
            "the CA ends on {}, before the certificate would (fewer --days help too)",
            parsed.validity().not_after
        )));
    }
    Ok(Some(Ca { key, certificate: certificate.to_string(), is_new: false }))
}

fn make_folder(directory: &Path) -> Result<(), CertificateError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|problem| CertificateError::File { path: directory.to_owned(), problem })
}

/// A file takes its name when it is whole. Mode 0600, as the temporary file has it.
fn write(directory: &Path, name: &str, content: &[u8]) -> Result<(), CertificateError> {
    let path = directory.join(name);
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut file| {
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|refused| refused.error).map(drop)
    });
    written.map_err(|problem| CertificateError::File { path, problem })
}
