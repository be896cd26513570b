//! Asking services: one after the other, again where that may help, and never past a deadline.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::{StatusCode, header};
use jiff::fmt::rfc2822;
use podseal_appraisal::endorsement::{AnswerError, Endorsed, Endorsement, Facts, Untimely};
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};
use tokio_rustls::TlsConnector;

use crate::{
    http::{self, HttpError, Reply},
    settings::{Deadlines, Place},
    tls::{self, TlsRootsError},
};

/// Requests at a time, over all services: they are few and small, and the makers count them.
const AT_A_TIME: usize = 8;
/// How often one service is asked for one thing.
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that a service can have itself left alone, in seconds.
const LONGEST_HOLD: u64 = 3600;

/// Why one service did not answer with what was wanted.
#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("no answer in time")]
    Late,
    #[error("answered {0}, wanted 200")]
    Status(StatusCode),
    #[error("answered {status}, to be asked again in {seconds} s")]
    HeldOff { status: StatusCode, seconds: u64 },
    #[error("asked to be left alone for {0} s more")]
    Waiting(u64),
    #[error("answered with something else: {0}")]
    Answer(#[from] AnswerError),
    #[error("answered with what is of no use: {0}")]
    Untimely(#[from] Untimely),
}

/// Why something was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// Nobody to ask.
    #[error("no service is configured that has it")]
    NoService,
    /// What each service came to.
    #[error("{0}")]
    Failed(String),
}

/// Asks the configured services.
pub struct Fetcher {
    places: Vec<Place>,
    connect: Duration,
    tls: Option<TlsConnector>,
    /// Until when a service, by its address, wants to be left alone; seconds since 1970.
    held_off: Mutex<HashMap<String, u64>>,
    at_a_time: Semaphore,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A fetcher. The file with TLS roots is read only where some service is asked over TLS.
    ///
    /// # Errors
    /// [`TlsRootsError`].
    pub fn new(places: Vec<Place>, deadlines: &Deadlines, tls_roots: &Path) -> Result<Self, TlsRootsError> {
        let tls = if places.iter().any(Place::is_tls) { Some(tls::connector(tls_roots)?) } else { None };
        Ok(Self { places, connect: deadlines.connect, tls, held_off: Mutex::default(), at_a_time: Semaphore::new(AT_A_TIME) })
    }

    /// Whether some service has it.
    #[must_use]
    pub fn has(&self, endorsement: &Endorsement) -> bool {
        self.places.iter().any(|place| place.service().address(endorsement).is_some())
    }

    /// Asks for it; `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`FetchError`]: what each service came to.
    pub async fn fetch(&self, endorsement: &Endorsement, now: u64, deadline: Instant) -> Result<(Endorsed, Facts), FetchError> {
        let mut failed = Vec::new();
        for place in &self.places {
            let Some(address) = place.service().address(endorsement) else { continue };
            match self.ask(place, &address, endorsement, now, deadline).await {
                Ok(fetched) => return Ok(fetched),
                Err(trouble) => failed.push(format!("{address}: {trouble}")),
            }
        }
        Err(if failed.is_empty() { FetchError::NoService } else { FetchError::Failed(failed.join("; ")) })
    }

    async fn ask(
        &self,
        place: &Place,
        address: &str,
        endorsement: &Endorsement,
        now: u64,
        deadline: Instant,
    ) -> Result<(Endorsed, Facts), Trouble> {
        let held_off = || self.held_off.lock().unwrap_or_else(PoisonError::into_inner);
        let until = held_off().get(&place.service().url).copied().unwrap_or(0);
        if now < until {
            return Err(Trouble::Waiting(until - now));
        }
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let trouble = match self.once(place, address, deadline).await {
                Ok(reply) => {
                    let answer = reply.answer(place.service().issuer_chain_headers(endorsement));
                    let (content, facts) = answer.read(place.service(), endorsement)?;
                    facts.current(now)?;
                    let (endorsement, source) = (endorsement.clone(), address.to_owned());
                    return Ok((Endorsed { endorsement, content, source, fetched: now }, facts));
                }
                Err(trouble) => trouble,
            };
            let wait = match &trouble {
                Trouble::HeldOff { seconds, .. } => Duration::from_secs(*seconds).max(pause),
                Trouble::Http(HttpError::Connect(_) | HttpError::ConnectTimedOut(_) | HttpError::Broken(_)) => pause,
                Trouble::Status(status) if status.is_server_error() => pause,
                _ => return Err(trouble),
            };
            if attempt == ATTEMPTS || Instant::now() + wait >= deadline {
                if let Trouble::HeldOff { seconds, .. } = trouble {
                    held_off().insert(place.service().url.clone(), now.saturating_add(seconds));
                }
                return Err(trouble);
            }
            time::sleep(wait).await;
            (attempt, pause) = (attempt + 1, pause * 2);
        }
    }

    async fn once(&self, place: &Place, address: &str, deadline: Instant) -> Result<Reply, Trouble> {
        let asked = async {
            // A closed semaphore cannot be: nobody closes it.
            let _permit = self.at_a_time.acquire().await.ok();
            http::get(address, place.service().request_headers(), self.connect, self.tls.as_ref()).await
        };
        let reply = time::timeout_at(deadline, asked).await.map_err(|_| Trouble::Late)??;
        match reply.status {
            StatusCode::OK => Ok(reply),
            status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                Err(Trouble::HeldOff { status, seconds: retry_after(&reply).unwrap_or(0) })
            }
            status => Err(Trouble::Status(status)),
        }
    }
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date, which is compared with the answer's own; at most an hour.
fn retry_after(reply: &Reply) -> Option<u64> {
    let text = |name| reply.headers.get(name)?.to_str().ok();
    let value = text(header::RETRY_AFTER)?;
    let date = |text: &str| rfc2822::parse(text).ok().map(|date| date.timestamp().as_second());
    let seconds = value.parse().ok().or_else(|| u64::try_from(date(value)? - date(text(header::DATE)?)?).ok());
    seconds.map(|seconds: u64| seconds.min(LONGEST_HOLD))
}
