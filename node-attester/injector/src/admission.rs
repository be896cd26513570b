//! An AdmissionReview in, an AdmissionReview out (`admission.k8s.io/v1`). Nothing here waits: the same request has the same answer.
//!
//! A pod is ours when its label (or annotation) `podseal.dev/inject` says `"true"`; every other one is let through as it is. What is
//! already in place is not patched again, so that the webhook may be asked twice, before and after others that add containers.

mod ask;
mod launch;
mod patch;
mod pod;
mod refusal;

use podseal_protocol::{Digest, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use patch::Operation;
use pod::Pod;
use refusal::Refusal;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Why there is no answer: the request is none that an API server sends.
#[derive(Debug, Error)]
pub enum NotAReview {
    /// Not JSON, or not of the form.
    #[error("not an AdmissionReview: {0}: send what an API server sends to a webhook")]
    Form(#[from] serde_json::Error),
    /// Another kind or version.
    #[error("found {found}, wanted {API_VERSION} {KIND}: list v1 in the webhook's admissionReviewVersions")]
    Version {
        /// `apiVersion` and `kind`, as they came.
        found: String,
    },
    /// A review that asks nothing.
    #[error("the AdmissionReview has no request: send one with a request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    kind: Kind,
    operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    version: String,
    kind: String,
}

impl Kind {
    fn is_pod(&self) -> bool {
        self.group.is_empty() && self.version == "v1" && self.kind == "Pod"
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// What was answered: for a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not ours, or nothing is missing.
    Unchanged,
    /// Patched, by so many operations.
    Patched(usize),
    /// Refused, in these words.
    Refused(String),
}

/// An answer: its bytes, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The request's own, by which the API server's audit log names it.
    pub uid: String,
    /// The AdmissionReview, in JSON.
    pub body: Vec<u8>,
    /// What it says.
    pub outcome: Outcome,
}

/// Answers one AdmissionReview; `verifier` is the identity that launchers pin.
///
/// # Errors
/// [`NotAReview`]: there is nothing to answer. A pod that is refused is an answer.
pub fn review(body: &[u8], verifier: &Digest, limits: &Limits) -> Result<Reviewed, NotAReview> {
    let review: Review = serde_json::from_slice(body)?;
    if review.api_version != API_VERSION || review.kind != KIND {
        return Err(NotAReview::Version { found: format!("{} {}", review.api_version, review.kind) });
    }
    let request = review.request.ok_or(NotAReview::NoRequest)?;
    let uid = request.uid.clone();
    let mut response = Response { uid: uid.clone(), allowed: true, patch_type: None, patch: None, status: None };
    let outcome = match decide(request, verifier, limits) {
        Ok(operations) if operations.is_empty() => Outcome::Unchanged,
        Ok(operations) => {
            response.patch_type = Some("JSONPatch");
            response.patch = Some(patch::encode(&operations)?);
            Outcome::Patched(operations.len())
        }
        Err(refusal) => {
            let message = refusal.to_string();
            response.allowed = false;
            response.status = Some(Status { code: refusal.code(), reason: refusal.reason(), message: message.clone() });
            Outcome::Refused(message)
        }
    };
    let body = serde_json::to_vec(&Answer { api_version: API_VERSION, kind: KIND, response })?;
    Ok(Reviewed { uid, body, outcome })
}

fn decide(request: Request, verifier: &Digest, limits: &Limits) -> Result<Vec<Operation>, Refusal> {
    if !request.kind.is_pod() {
        return Ok(Vec::new());
    }
    match request.operation.as_str() {
        "CREATE" => {
            let pod = Pod::read(request.object)?;
            match ask::of(&pod, limits)? {
                None => Ok(Vec::new()),
                Some(ask) => patch::of(&pod, &ask, verifier),
            }
        }
        "UPDATE" => ask::unchanged(&Pod::read(request.old_object)?, &Pod::read(request.object)?).map(|()| Vec::new()),
        _ => Ok(Vec::new()),
    }
}
