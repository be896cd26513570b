//! What is answered over HTTP: `/mutate`, `/healthz`, `/readyz`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes},
    header::{CONNECTION, CONTENT_TYPE, HeaderValue},
};
use podseal_protocol::{Digest, Limits};
use tokio::{sync::Semaphore, time::timeout};
use tracing::{debug, info};

use crate::admission::{self, Outcome};

/// The largest object that an API server keeps is 1.5 MiB; an update brings two.
const BODY: usize = 3 << 20;
/// Requests whose bodies are in memory at a time; others wait, within their deadline.
const BODIES: usize = 32;

/// The webhook, as its connections share it.
#[derive(Debug)]
pub struct Webhook {
    verifier: Digest,
    deadline: Duration,
    bodies: Semaphore,
    leaving: AtomicBool,
}

/// A body that is no review, or none that came whole and in time.
type Problem = (StatusCode, String);

impl Webhook {
    /// `deadline` is for one request, from its head to the answer.
    #[must_use]
    pub fn new(verifier: Digest, deadline: Duration) -> Self {
        Self { verifier, deadline, bodies: Semaphore::new(BODIES), leaving: AtomicBool::new(false) }
    }

    /// From now on it is not ready, and each connection ends with its answer.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let leaving = self.leaving.load(Ordering::Relaxed);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = match request.uri().path() {
            "/healthz" if is_read => text(StatusCode::OK, "ok\n"),
            "/readyz" if is_read && leaving => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
            "/readyz" if is_read => text(StatusCode::OK, "ready\n"),
            "/mutate" if request.method() == Method::POST => self.mutate(request.into_body()).await,
            "/healthz" | "/readyz" | "/mutate" => text(StatusCode::METHOD_NOT_ALLOWED, "POST to /mutate, GET the others\n"),
            _ => text(StatusCode::NOT_FOUND, "there are /mutate, /healthz and /readyz\n"),
        };
        if leaving {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn mutate<B>(&self, body: B) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let reviewed = timeout(self.deadline, self.review(body)).await;
        let late = || (StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned());
        match reviewed.unwrap_or_else(|_| Err(late())) {
            Ok(review) => {
                let mut response = Response::new(Full::new(review));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err((status, problem)) => {
                info!(status = status.as_u16(), problem, "a request without an answer");
                let mut response = text(status, problem + "\n");
                // Of its body there may be more, which nobody reads.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        }
    }

    async fn review<B>(&self, body: B) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        // The semaphore is never closed.
        let _counted = self.bodies.acquire().await;
        let body = Limited::new(body, BODY).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {BODY} bytes"))
            } else {
                (StatusCode::BAD_REQUEST, format!("the body did not come whole: {error}"))
            }
        })?;
        let reviewed = admission::review(&body.to_bytes(), &self.verifier, &Limits::DEFAULT)
            .map_err(|problem| (StatusCode::BAD_REQUEST, problem.to_string()))?;
        let uid = reviewed.uid;
        match reviewed.outcome {
            Outcome::Unchanged => debug!(?uid, "unchanged"),
            Outcome::Patched(operations) => info!(?uid, operations, "patched"),
            Outcome::Refused(reason) => info!(?uid, ?reason, "refused"),
        }
        Ok(reviewed.body.into())
    }
}

fn text(status: StatusCode, words: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(words.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
