//! Configuration in two phases: the file as written, then [`Config`], checked before anything is opened.
//!
//! ```toml
//! listen = "0.0.0.0:8443"
//!
//! [verifier]
//! id = "…"                              # 64 hexadecimal digits, as `podseal-verifier init` prints them
//!
//! [tls]
//! certificate = "/etc/podseal/tls/tls.crt"      # PEM, the server's own first
//! key = "/etc/podseal/tls/tls.key"              # PEM
//! reload_s = 10                         # how often the two are looked at
//!
//! [limits]                              # optional, as is each key
//! connections = 256
//! request_ms = 4000                     # from a request's head to its answer
//! leave_ms = 3000                       # after SIGTERM: not ready any more, and still serving
//! drain_ms = 5000                       # then: for what has begun
//!
//! [log]                                 # optional
//! format = "text"                       # or json
//! ```

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use podseal_protocol::Digest;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use crate::tls::Files;

/// What is wrong with a configuration, where, and what to do.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: {problem}: create it, or name another with --config")]
    Unreadable {
        /// Which file.
        file: String,
        /// What the operating system said.
        problem: std::io::Error,
    },
    /// Not TOML, a key that is not known, one that is missing, or one of another type.
    #[error("{file}:{line}: {problem}: correct it; `podseal-injector check-config` checks again")]
    Syntax {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What the parser said.
        problem: String,
    },
    /// A value that cannot be meant.
    #[error("{file}:{line}: {key}: found {found:?}, wanted {wanted}")]
    Value {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What has to stand there.
        wanted: String,
    },
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The identity that launchers pin.
    pub verifier: Digest,
    /// Certificate and key.
    pub tls: Files,
    /// How often they are looked at.
    pub reload: Duration,
    /// Bounds and deadlines.
    pub bounds: Bounds,
    /// Log lines as JSON.
    pub log_json: bool,
}

/// Bounds and deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at a time.
    pub connections: usize,
    /// From a request's head to its answer.
    pub request: Duration,
    /// After SIGTERM: not ready any more, and still serving, until nobody is sent here any more.
    pub leave: Duration,
    /// For what has begun, after that.
    pub drain: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    listen: Spanned<String>,
    verifier: RawVerifier,
    tls: RawTls,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    log: RawLog,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVerifier {
    id: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
    reload_s: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections: Option<Spanned<u64>>,
    request_ms: Option<Spanned<u64>>,
    leave_ms: Option<Spanned<u64>>,
    drain_ms: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    format: Option<Spanned<String>>,
}

/// A value that cannot be meant, and where it stands.
struct Wrong {
    at: usize,
    key: &'static str,
    found: String,
    wanted: String,
}

impl Config {
    /// Reads and checks a configuration file; opens nothing that it names.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|problem| ConfigError::Unreadable { file: file.clone(), problem })?;
        let line_of = |at: usize| text.get(..at).unwrap_or(&text).matches('\n').count() + 1;
        let raw: RawConfig = toml::from_str(&text).map_err(|e| ConfigError::Syntax {
            file: file.clone(),
            line: line_of(e.span().map_or(0, |span| span.start)),
            problem: e.message().replace('\n', " "),
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        raw.check(folder).map_err(|Wrong { at, key, found, wanted }| {
            let line = line_of(at);
            ConfigError::Value { file, line, key, found, wanted }
        })
    }
}

impl RawConfig {
    fn check(self, folder: &Path) -> Result<Config, Wrong> {
        let (limits, listen) = (&self.limits, &self.listen);
        let milliseconds = |value: &Option<Spanned<u64>>, key, default, least, most| {
            within(value.as_ref(), key, default, least, most).map(Duration::from_millis)
        };
        Ok(Config {
            listen: listen.get_ref().parse().map_err(|_| wrong(listen, "listen", "ADDRESS:PORT, such as 0.0.0.0:8443"))?,
            verifier: verifier(&self.verifier.id)?,
            tls: Files { certificate: folder.join(self.tls.certificate), key: folder.join(self.tls.key) },
            reload: Duration::from_secs(within(self.tls.reload_s.as_ref(), "tls.reload_s", 10, 1, 3_600)?),
            bounds: Bounds {
                connections: usize::try_from(within(limits.connections.as_ref(), "limits.connections", 256, 1, 65_536)?)
                    .unwrap_or(usize::MAX),
                request: milliseconds(&limits.request_ms, "limits.request_ms", 4_000, 100, 30_000)?,
                leave: milliseconds(&limits.leave_ms, "limits.leave_ms", 3_000, 0, 60_000)?,
                drain: milliseconds(&limits.drain_ms, "limits.drain_ms", 5_000, 0, 60_000)?,
            },
            log_json: match &self.log.format {
                None => false,
                Some(format) => match format.get_ref().as_str() {
                    "text" => false,
                    "json" => true,
                    _ => return Err(wrong(format, "log.format", "text or json")),
                },
            },
        })
    }
}

fn verifier(id: &Spanned<String>) -> Result<Digest, Wrong> {
    let digest = Some(id.get_ref()).filter(|text| text.len() == 64).and_then(|text| Digest::from_hex(text));
    digest.ok_or_else(|| wrong(id, "verifier.id", "64 hexadecimal digits, as `podseal-verifier init` prints them"))
}

fn within(value: Option<&Spanned<u64>>, key: &'static str, default: u64, least: u64, most: u64) -> Result<u64, Wrong> {
    match value {
        None => Ok(default),
        Some(value) if (least..=most).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => Err(Wrong { at: value.span().start, key, found: value.get_ref().to_string(), wanted: format!("{least} to {most}") }),
    }
}

fn wrong(value: &Spanned<String>, key: &'static str, wanted: &str) -> Wrong {
    Wrong { at: value.span().start, key, found: value.get_ref().clone(), wanted: wanted.to_owned() }
}
