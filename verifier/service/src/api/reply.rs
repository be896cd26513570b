//! What the outside hears: a gRPC code and a stable reason; what an administrator hears besides: the detail. An expected value of a
//! check, a token or a secret is in none of it.

use std::fmt::Display;

use tonic::{Code, Status, metadata::MetadataValue};
use tracing::{error, info};

use crate::{release::CommitError, store::mutation::ChangeError};

/// Header in which the stable reason stands.
const REASON: &str = "podseal-reason";
/// Header in which the audit id stands.
const AUDIT_ID: &str = "podseal-audit-id";

/// A refusal with nothing but its reason.
pub(super) fn status(code: Code, reason: &'static str) -> Status {
    with(Status::new(code, reason), REASON, reason)
}

/// A refusal that an operator can look up.
pub(super) fn refused(reason: &str, audit_id: &str) -> Status {
    with(with(Status::permission_denied(reason), REASON, reason), AUDIT_ID, audit_id)
}

/// A refusal for an administrator: reason, and the detail with what was found, wanted and to be done.
pub(super) fn explained(code: Code, reason: &'static str, detail: impl Display) -> Status {
    with(Status::new(code, detail.to_string()), REASON, reason)
}

/// Something broke on our side. The log gets what, the outside only that.
pub(super) fn broken(what: &'static str, cause: impl Display) -> Status {
    error!(%cause, "{what} failed");
    status(Code::Internal, "internal")
}

/// A change that was not made.
pub(super) fn not_committed(error: CommitError) -> Status {
    match error {
        CommitError::Change(ChangeError::Conflict(conflict)) => {
            info!(%conflict, "change refused");
            explained(Code::FailedPrecondition, conflict.reason(), conflict)
        }
        CommitError::Stopping => status(Code::Unavailable, "stopping"),
        other => broken("commit", other),
    }
}

fn with(mut status: Status, header: &'static str, value: &str) -> Status {
    if let Ok(value) = MetadataValue::try_from(value) {
        status.metadata_mut().insert(header, value);
    }
    status
}
