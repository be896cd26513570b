//! The configuration: a strict file, checked as a whole before anything is opened.

mod endorsements;
mod hardware;
mod raw;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use podseal_appraisal::{
    claims::RootKind,
    machine::{Hardware, HardwareError},
    tpm::ek::{EkRoot, EkRoots},
    x509::RootError,
};
use podseal_endorsements::{AddressError, Fetcher, Settings, TlsRootsError};
use podseal_protocol::Digest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use thiserror::Error;

use crate::permissions::{self, Kind, PermissionError};

/// Largest file that is read as a configuration or as a root.
const LARGEST: u64 = 1 << 20;

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}: correct --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// Longer than any configuration.
    #[error("{path}: found {found} bytes, wanted at most {LARGEST}: is it the right file?")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// Not TOML, an unknown key, or a value of another type.
    #[error("{path}: {problem}: compare with docs/OPERATING.md")]
    Form {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        problem: String,
    },
    /// A value outside what its key allows.
    #[error("{key}: found {found:?}, wanted {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// What is allowed, and what to do.
        wanted: &'static str,
    },
    /// Two of one name or key.
    #[error("{key}: {found:?} is there twice: keep one of them")]
    Twice {
        /// The key.
        key: &'static str,
        /// What is repeated.
        found: String,
    },
    /// Nobody could administer it.
    #[error("admin: found none, wanted at least one: add the [[admin]] that `podseal-verifier init` printed")]
    NoAdmin,
    /// A file or directory is open to others, or missing.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// A root is not a certificate.
    #[error("ek_root.file {path}: {problem}: wanted one certificate in PEM")]
    RootPem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        problem: String,
    },
    /// A root cannot be one.
    #[error("ek_root: {0}")]
    Root(#[from] RootError),
    /// Roots of other hardware.
    #[error("hardware.roots: {0}")]
    Hardware(#[from] HardwareError),
    /// A service of endorsements is nowhere.
    #[error("endorsements.service.url: {0}")]
    Service(#[from] AddressError),
    /// The services' TLS certificates end nowhere.
    #[error("endorsements.tls_roots {0}")]
    TlsRoots(#[from] TlsRootsError),
}

/// Bounds on what strangers can make the verifier do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at a time.
    pub connections: usize,
    /// Requests at a time, over all connections.
    pub requests: usize,
    /// Time for one request.
    pub request: Duration,
    /// Nodes that may wait for approval.
    pub pending_nodes: u32,
}

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Making a new verifier: its files may be missing, and so may its administrators.
    Init,
    /// Serving.
    Run,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where everything lies; 0700.
    pub data_directory: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// The archive's directory.
    pub archive_directory: PathBuf,
    /// The KEK's file; 0600.
    pub kek_file: PathBuf,
    /// Administrators: SHA-256 of the client key's SPKI, and name.
    pub admins: BTreeMap<Digest, String>,
    /// Roots at which an EK certificate may end.
    pub ek_roots: EkRoots,
    /// Roots of hardware other than a TPM, under the shipped policy.
    pub hardware: Hardware,
    /// Bounds.
    pub limits: ServerLimits,
    /// Endorsements: where they are kept, whom to ask.
    pub endorsements: Settings,
}

impl Config {
    /// Reads and checks the file at `path`, and everything that it names.
    ///
    /// # Errors
    /// [`ConfigError`]: what was found, what was wanted, what to do.
    pub fn load(path: &Path, purpose: Purpose) -> Result<Self, ConfigError> {
        permissions::check("--config", path, Kind::TrustedFile)?;
        let text = String::from_utf8(read(path)?)
            .map_err(|_| ConfigError::Form { path: path.to_owned(), problem: "it is not UTF-8".to_owned() })?;
        let raw: raw::RawConfig = toml::from_str(&text)
            .map_err(|error| ConfigError::Form { path: path.to_owned(), problem: error.to_string().trim_end().to_owned() })?;
        let config = Self::check(raw, path.parent().unwrap_or(Path::new(".")))?;
        if purpose == Purpose::Run {
            config.check_files()?;
        }
        Ok(config)
    }

    /// Relative paths are relative to the configuration file.
    fn check(raw: raw::RawConfig, base: &Path) -> Result<Self, ConfigError> {
        let wrong = |key, found: &str, wanted| ConfigError::Value { key, found: found.to_owned(), wanted };
        let data_directory = base.join(&raw.data_directory);
        let listen = raw.listen.parse().map_err(|_| wrong("listen", &raw.listen, "ADDRESS:PORT, such as 127.0.0.1:7443 or [::]:7443"))?;
        let mut admins = BTreeMap::new();
        for admin in &raw.admin {
            let wanted = "64 hexadecimal digits: SHA-256 of the client key's SubjectPublicKeyInfo, as init prints it";
            let digest = Digest::from_hex(&admin.spki_sha256).ok_or_else(|| wrong("admin.spki_sha256", &admin.spki_sha256, wanted))?;
            if !is_name(&admin.name) {
                return Err(wrong("admin.name", &admin.name, "1 to 64 letters, digits, '-', '_' or '.'"));
            }
            if admins.values().any(|name| *name == admin.name) || admins.insert(digest, admin.name.clone()).is_some() {
                return Err(ConfigError::Twice { key: "admin", found: admin.name.clone() });
            }
        }
        Ok(Self {
            listen,
            database: raw.database.map_or_else(|| data_directory.join("podseal.db"), |path| base.join(path)),
            archive_directory: raw.archive_directory.map_or_else(|| data_directory.join("archive"), |path| base.join(path)),
            kek_file: base.join(&raw.kek_file),
            endorsements: endorsements::check(&raw.endorsements, base, &data_directory)?,
            data_directory,
            admins,
            ek_roots: ek_roots(&raw.ek_root, base)?,
            hardware: hardware::check(raw.hardware.as_ref(), base)?,
            limits: limits(&raw.limits)?,
        })
    }

    fn check_files(&self) -> Result<(), ConfigError> {
        if self.admins.is_empty() {
            return Err(ConfigError::NoAdmin);
        }
        permissions::check("data_directory", &self.data_directory, Kind::SecretDirectory)?;
        permissions::check("kek_file", &self.kek_file, Kind::SecretFile)?;
        permissions::check("database", &self.database, Kind::SecretFile)?;
        permissions::check("archive_directory", &self.archive_directory, Kind::SecretDirectory)?;
        Fetcher::new(self.endorsements.places.clone(), &self.endorsements.deadlines, &self.endorsements.tls_roots)?;
        Ok(())
    }
}

/// A name that can be shown in a log line.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let failed = |error| ConfigError::Read { path: path.to_owned(), error };
    let found = fs::metadata(path).map_err(failed)?.len();
    if found > LARGEST {
        return Err(ConfigError::TooLong { path: path.to_owned(), found });
    }
    fs::read(path).map_err(failed)
}

fn ek_roots(raw: &[raw::RawEkRoot], base: &Path) -> Result<EkRoots, ConfigError> {
    let mut roots: Vec<EkRoot> = Vec::with_capacity(raw.len());
    for root in raw {
        let wrong = |key, found: &str, wanted| ConfigError::Value { key, found: found.to_owned(), wanted };
        if !is_name(&root.name) {
            return Err(wrong("ek_root.name", &root.name, "1 to 64 letters, digits, '-', '_' or '.'"));
        }
        if roots.iter().any(|other| other.name == root.name) {
            return Err(ConfigError::Twice { key: "ek_root.name", found: root.name.clone() });
        }
        let wanted = "\"production\" or \"test\"; a software TPM's root is test";
        let kind = RootKind::parse(&root.kind).ok_or_else(|| wrong("ek_root.kind", &root.kind, wanted))?;
        let path = base.join(&root.file);
        permissions::check("ek_root.file", &path, Kind::TrustedFile)?;
        let pem = |problem: String| ConfigError::RootPem { path: path.clone(), problem };
        let bytes = read(&path)?;
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| pem(error.to_string()))?;
        let [certificate] = certificates.as_slice() else {
            return Err(pem(format!("found {} certificates", certificates.len())));
        };
        roots.push(EkRoot { name: root.name.clone(), kind, certificate: certificate.to_vec() });
    }
    Ok(EkRoots::new(roots)?)
}

fn limits(raw: &raw::RawLimits) -> Result<ServerLimits, ConfigError> {
    let within = |key, value: u32, most: u32, wanted| {
        if (1..=most).contains(&value) { Ok(value) } else { Err(ConfigError::Value { key, found: value.to_string(), wanted }) }
    };
    Ok(ServerLimits {
        connections: within("limits.connections", raw.connections, 65_536, "1 to 65536")? as usize,
        requests: within("limits.requests", raw.requests, 4_096, "1 to 4096")? as usize,
        request: Duration::from_secs(within("limits.request_seconds", raw.request_seconds, 300, "1 to 300")?.into()),
        pending_nodes: within("limits.pending_nodes", raw.pending_nodes, 65_536, "1 to 65536")?,
    })
}
