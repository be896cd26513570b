//! Which verifier, and as whom: the client configuration, and the pinned connection that it describes.
//!
//! ```toml
//! [verifier]
//! address = "https://verifier.example:7443"
//! id = "3f3f…"                                # 64 hexadecimal digits, printed by `podseal-verifier init`
//!
//! [admin]                                     # relative paths are relative to this file
//! certificate = "admin.cert.pem"
//! key = "admin.key.pem"                       # 0600
//! ```

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use podseal_protocol::{
    Digest, Limits, hex,
    key::{CertifiedKey, KeyUse},
};
use podseal_wire::{
    Empty, Verifier,
    admin_client::AdminClient,
    pinned::{self, ClientIdentity, Timeouts},
};
use serde::Deserialize;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::{failure::Failure, files};

/// Largest answer: one archived decision, whose exchange alone may have [`Limits::message`] bytes.
const LARGEST_ANSWER: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which verifier, and as whom; a flag overrides the configuration file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionFlags {
    /// Client configuration (TOML); otherwise $PODSEAL_CONFIG, otherwise ~/.config/podseal/config.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the verifier listens: https://HOST:PORT
    #[arg(long, global = true, value_name = "URL")]
    address: Option<String>,
    /// The verifier's identity: 64 hexadecimal digits, as `podseal-verifier init` printed them
    #[arg(long, global = true, value_name = "ID")]
    verifier: Option<String>,
    /// The administrator's certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of that certificate (PEM, 0600)
    #[arg(long, global = true, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Seconds to wait for one answer
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// What the environment says about the configuration file; read in `main` alone.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `$PODSEAL_CONFIG`
    pub(crate) config: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, or `$HOME/.config`
    pub(crate) config_home: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    verifier: Option<RawVerifier>,
    admin: Option<RawAdmin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVerifier {
    address: String,
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdmin {
    certificate: PathBuf,
    key: PathBuf,
}

/// Checked settings; nothing is opened yet but the configuration file.
#[derive(Debug)]
struct Settings {
    address: String,
    verifier: Digest,
    /// Certificate and key.
    admin: Option<(PathBuf, PathBuf)>,
    timeouts: Timeouts,
}

impl ConnectionFlags {
    /// Connects to the verifier that flags and configuration name, and asks who it is.
    ///
    /// # Errors
    /// Everything that stands against it: configuration, files, network, another verifier, a certificate that is no administrator's.
    pub(crate) async fn connect(&self, environment: &Environment) -> Result<Session, Failure> {
        let settings = self.settings(environment)?;
        let identity = settings.admin.as_ref().map(|(certificate, key)| Ok::<_, Failure>((read_certificate(certificate)?, read_key(key)?)));
        let identity = identity.transpose()?;
        let presented = identity.as_ref().map(|(certificates, key)| ClientIdentity { certificates, key });
        match open(&settings, presented).await {
            // In TLS 1.3 the server judges the client's certificate when the client's handshake has ended (RFC 8446, section 4.4.2.4), and
            // its alert is often lost behind the closed connection. Whether it was that shows when it takes a client without any.
            Err(Failure::Unanswered { .. }) if presented.is_some() && matches!(open(&settings, None).await, Err(Failure::NotHeard)) => {
                Err(Failure::NotHeard)
            }
            other => other,
        }
    }

    fn settings(&self, environment: &Environment) -> Result<Settings, Failure> {
        let default = environment.config_home.as_ref().map(|home| home.join("podseal/config.toml"));
        let named = self.config.as_ref().or(environment.config.as_ref());
        let path = named.or(default.as_ref().filter(|path| path.exists()));
        let raw = path.map(|path| parse(path)).transpose()?.unwrap_or_default();
        let (mut address, mut id) = (self.address.clone(), self.verifier.clone());
        if let Some(verifier) = raw.verifier {
            address.get_or_insert(verifier.address);
            id.get_or_insert(verifier.id);
        }
        let (Some(address), Some(id)) = (address, id) else { return Err(Failure::NoConfig { default }) };
        let wanted = || "64 hexadecimal digits, as `podseal-verifier init` printed them".to_owned();
        let verifier = Digest::from_hex(&id).ok_or_else(|| Failure::Option { option: "verifier id", found: id, wanted: wanted() })?;
        let base = path.and_then(|path| path.parent()).unwrap_or(Path::new("."));
        let configured = raw.admin.map(|admin| (base.join(admin.certificate), base.join(admin.key)));
        let admin = self.certificate.clone().zip(self.key.clone()).or(configured);
        let timeouts = Timeouts { connect: CONNECT_TIMEOUT, call: Duration::from_secs(self.timeout) };
        Ok(Settings { address, verifier, admin, timeouts })
    }
}

async fn open(settings: &Settings, identity: Option<ClientIdentity<'_>>) -> Result<Session, Failure> {
    let channel = pinned::connect(&settings.address, settings.verifier, identity, settings.timeouts).await?;
    let mut client = AdminClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
    let about = client.get_verifier(Empty {}).await?.into_inner();
    if about.id != settings.verifier.0 {
        return Err(Failure::Answer { what: "identity", found: hex::encode(&about.id), wanted: "the pinned one" });
    }
    Ok(Session { client, verifier: settings.verifier, address: settings.address.clone(), about })
}

fn parse(path: &Path) -> Result<RawConfig, Failure> {
    let text = files::read_text(path, files::CONFIGURATION)?;
    toml::from_str(&text).map_err(|error| Failure::Config { path: path.to_owned(), problem: error.message().to_owned() })
}

fn read_certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    files::read(path, files::CONFIGURATION)
}

fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let found = fs::metadata(path).map_err(|error| Failure::Read { path: path.to_owned(), error })?.mode() & 0o7777;
    if found & 0o077 != 0 {
        return Err(Failure::KeyMode { path: path.to_owned(), found });
    }
    files::read(path, files::CONFIGURATION).map(Zeroizing::new)
}

/// A connection to the pinned verifier.
pub(crate) struct Session {
    /// The generated client.
    pub(crate) client: AdminClient<Channel>,
    /// The pinned identity.
    pub(crate) verifier: Digest,
    /// Where it was reached.
    pub(crate) address: String,
    /// What it says of itself: keys and newest checkpoint are to be verified.
    pub(crate) about: Verifier,
}

impl Session {
    /// The key that signs checkpoints.
    ///
    /// # Errors
    /// [`Failure::Key`].
    pub(crate) fn log_key(&self) -> Result<CertifiedKey, Failure> {
        self.certified(KeyUse::Log, &self.about.log_key)
    }

    /// The key that values are sealed to.
    ///
    /// # Errors
    /// [`Failure::Key`].
    pub(crate) fn import_key(&self) -> Result<CertifiedKey, Failure> {
        self.certified(KeyUse::Import, &self.about.import_key)
    }

    /// Verifies a key under the pinned root, at the present time.
    fn certified(&self, key_use: KeyUse, bytes: &[u8]) -> Result<CertifiedKey, Failure> {
        // A clock before 1970 makes no key valid.
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
        CertifiedKey::verify(bytes, &self.verifier, key_use, Some(now), &Limits::DEFAULT)
            .map_err(|error| Failure::Key { what: key_use.as_str(), error })
    }
}
