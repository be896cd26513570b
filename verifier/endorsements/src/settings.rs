//! What a gatherer is told: services, deadlines, ages.

use std::{path::PathBuf, time::Duration};

use hyper::Uri;
use podseal_appraisal::endorsement::{Kind, Service};
use thiserror::Error;

/// One day, in seconds.
pub const DAY: u64 = 86_400;

/// A service, and whether it may be asked without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    service: Service,
}

/// Why an address is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No address.
    #[error("found {0:?}, wanted https://HOST, with :PORT and /PATH where needed")]
    Form(String),
    /// Without TLS, which nobody said may be.
    #[error("found {0:?}, wanted https://: where the service has no TLS, say plain_http = true")]
    Plain(String),
}

impl Place {
    /// Checks a service's address.
    ///
    /// # Errors
    /// [`AddressError`]: `http://` where `plain_http` does not allow it, or no address.
    pub fn new(service: Service, plain_http: bool) -> Result<Self, AddressError> {
        let form = || AddressError::Form(service.url.clone());
        let uri: Uri = service.url.parse().map_err(|_| form())?;
        let authority = uri.authority().ok_or_else(form)?;
        if authority.host().is_empty() || authority.as_str().contains('@') || uri.query().is_some() {
            return Err(form());
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self { service }),
            Some("http") if plain_http => Ok(Self { service }),
            Some("http") => Err(AddressError::Plain(service.url)),
            _ => Err(form()),
        }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Whether it is asked over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.service.url.starts_with("https://")
    }
}

/// How long anybody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection, with TLS.
    pub connect: Duration,
    /// For everything that one appraisal needs, attempts and pauses together.
    pub total: Duration,
    /// For how long a service that failed at something is not asked for that again.
    pub retry: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(10), retry: Duration::from_secs(60) }
    }
}

/// The greatest age at which an endorsement is used, in seconds since it was fetched. From half of it on, a newer one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Of certificates of chips, and those above them.
    pub certificates: u64,
    /// Of revocation lists.
    pub crl: u64,
    /// Of TCB info.
    pub tcb_info: u64,
    /// Of quoting enclaves' identities.
    pub qe_identity: u64,
}

impl Ages {
    /// The greatest age of that kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Certificates => self.certificates,
            Kind::Crl => self.crl,
            Kind::TcbInfo => self.tcb_info,
            Kind::QeIdentity => self.qe_identity,
        }
    }
}

impl Default for Ages {
    fn default() -> Self {
        Self { certificates: 365 * DAY, crl: 7 * DAY, tcb_info: 7 * DAY, qe_identity: 7 * DAY }
    }
}

/// Everything a gatherer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder; it is made where it is missing.
    pub directory: PathBuf,
    /// Most bytes in it.
    pub most_bytes: u64,
    /// Whom to ask, in this order. None: offline.
    pub places: Vec<Place>,
    /// How long to wait.
    pub deadlines: Deadlines,
    /// How old something may be.
    pub ages: Ages,
    /// File with the roots of the services' TLS certificates, PEM.
    pub tls_roots: PathBuf,
}
