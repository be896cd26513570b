//! Making a new verifier: directories, KEK, database, keys, the first administrator. Run again, it changes nothing that is there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use podseal_protocol::Digest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Serialize;
use thiserror::Error;

use crate::{
    archive::{Archive, ArchiveError},
    clock,
    config::Config,
    kek::{self, KekError},
    keyring::{self, Keyring, KeyringError},
    permissions::{self, Kind, PermissionError},
    store::{
        Missing, Store, StoreError,
        log::{self, Tail},
    },
    tls::{self, TlsError, spki_digest},
};

/// Why there is no verifier.
#[derive(Debug, Error)]
pub enum InitError {
    /// A file cannot be made.
    #[error("{path}: {error}: see whether the parent directory exists and belongs to the verifier")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A file is open to others.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// The KEK.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The administrator's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Half of a credential.
    #[error("{0}: found no certificate, wanted the administrator's in PEM: remove key and certificate, and run init again")]
    Credential(PathBuf),
    /// The KEK is missing, and keys that it wrapped are there.
    #[error("kek_file {0}: it is missing, and the database exists: restore the file from its backup; without it the store never opens")]
    KekLost(PathBuf),
}

/// What was made, or found.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The verifier's identity, to be pinned by nodes, launchers and operators: 64 hexadecimal digits.
    pub verifier: String,
    /// The first administrator; none where one is configured and the credential was moved to the operator's machine.
    pub admin: Option<AdminFiles>,
}

/// The first administrator's credential.
#[derive(Debug, Serialize)]
pub struct AdminFiles {
    /// Self-signed certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PKCS#8 in PEM, 0600.
    pub key: PathBuf,
    /// Client configuration for `podseal --config`: address, identity and this credential.
    pub client_config: PathBuf,
    /// What the configuration names: 64 hexadecimal digits.
    pub spki_sha256: String,
    /// Whether the configuration names it.
    pub configured: bool,
}

/// Makes what is missing.
///
/// # Errors
/// [`InitError`]; what was made stays, and the next run goes on from there.
pub async fn init(config: &Config) -> Result<Made, InitError> {
    directory(&config.data_directory)?;
    permissions::check("data_directory", &config.data_directory, Kind::SecretDirectory)?;
    let missing = |path: &Path| path.try_exists().map(|exists| !exists).map_err(|error| InitError::File { path: path.to_owned(), error });
    if missing(&config.kek_file)? && !missing(&config.database)? {
        return Err(InitError::KekLost(config.kek_file.clone()));
    }
    kek::create(&config.kek_file)?;
    permissions::check("kek_file", &config.kek_file, Kind::SecretFile)?;
    let kek = kek::load(&config.kek_file)?;
    let store = Store::open(&config.database, Missing::Create).await?;
    permissions::check("database", &config.database, Kind::SecretFile)?;
    keyring::create(&store, &kek, clock::now()).await?;
    let keys = std::sync::Arc::new(Keyring::load(&store, kek).await?);
    let verifier = keys.verifier().to_string();
    sign_first_head(&store, &keys).await.map_err(KeyringError::Store)?;
    Archive::open(config.archive_directory.clone(), keys)?;
    store.close().await;
    let admin = if moved_away(config)? { None } else { Some(admin_credential(config, &verifier)?) };
    Ok(Made { verifier, admin })
}

/// The head of an empty log, so that an auditor has a checkpoint from before the first change.
async fn sign_first_head(store: &Store, keys: &Keyring) -> Result<(), sqlx::Error> {
    let mut open = store.write().await?;
    if log::checkpoint(&mut *open).await?.is_none() {
        Tail::load(&mut open).await?.seal(&mut open, keys).await?;
        open.commit().await?;
    }
    Ok(())
}

fn directory(path: &Path) -> Result<(), InitError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| InitError::File { path: path.to_owned(), error })
}

/// Whether somebody administers this verifier, and the first credential is no longer here, neither half of it.
fn moved_away(config: &Config) -> Result<bool, InitError> {
    let folder = config.data_directory.join("admin");
    let there = ["admin.cert.pem", "admin.key.pem"].map(|name| folder.join(name)).into_iter().map(|path| {
        let exists = path.try_exists();
        exists.map_err(|error| InitError::File { path, error })
    });
    let there: Vec<bool> = there.collect::<Result<_, _>>()?;
    Ok(!config.admins.is_empty() && !there.contains(&true))
}

fn admin_credential(config: &Config, verifier: &str) -> Result<AdminFiles, InitError> {
    let folder = config.data_directory.join("admin");
    directory(&folder)?;
    let (certificate, key) = (folder.join("admin.cert.pem"), folder.join("admin.key.pem"));
    let failed = |path: &Path, error| InitError::File { path: path.to_owned(), error };
    let spki = match fs::read(&certificate) {
        Ok(pem) => {
            let found = CertificateDer::from_pem_slice(&pem).ok().and_then(|der| spki_digest(&der));
            found.ok_or_else(|| InitError::Credential(certificate.clone()))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_credential(&certificate, &key)?,
        Err(error) => return Err(failed(&certificate, error)),
    };
    let configured = config.admins.contains_key(&spki);
    let key_is_here = key.try_exists().map_err(|error| failed(&key, error))?;
    if key_is_here || !configured {
        permissions::check("admin key", &key, Kind::SecretFile)?;
    }
    let client_config = folder.join("client.toml");
    if !client_config.try_exists().map_err(|error| failed(&client_config, error))? {
        write_new(&client_config, &client_configuration(config, verifier))?;
    }
    Ok(AdminFiles { certificate, key, client_config, spki_sha256: spki.to_string(), configured })
}

/// What `podseal --config` reads; its relative paths start at the file, so that the folder can be moved as a whole.
fn client_configuration(config: &Config, verifier: &str) -> String {
    format!(
        "# Correct the address where operators reach the verifier by another one.\n\
         [verifier]\naddress = \"https://{}\"\nid = \"{verifier}\"\n\n\
         [admin]\ncertificate = \"admin.cert.pem\"\nkey = \"admin.key.pem\"\n",
        config.listen
    )
}

/// The key first: a certificate says that both are there.
fn write_credential(certificate: &Path, key: &Path) -> Result<Digest, InitError> {
    let credential = tls::new_admin("admin", clock::now())?;
    write_new(key, &credential.key)?;
    write_new(certificate, &credential.certificate)?;
    Ok(credential.spki)
}

fn write_new(path: &Path, content: &str) -> Result<(), InitError> {
    let mut options = OpenOptions::new();
    let write = |mut file: fs::File| file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.and_then(write).map_err(|error| InitError::File { path: path.to_owned(), error })
}
