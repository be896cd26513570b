//! Frames over the socket, each within a deadline, and the refusals that they carry.

use std::{io, time::Duration};

use podseal_protocol::{
    Limits,
    cbor::Malformed,
    frame::{self, HEAD_LENGTH, TOKEN_LENGTH, WorkloadReply, WorkloadRequest},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use crate::{
    config::Bounds,
    identify::Refusal,
    owner::TpmError,
    place::PlaceError,
    pod_log::NotRecorded,
    round::{RoundError, is_late},
};

/// A request has a key, a salt and at most a token.
const REQUEST: Limits = Limits { frame: TOKEN_LENGTH + 512, ..Limits::DEFAULT };

/// Why a session ends with nothing: what the launcher is told, and the detail for the attester's own log.
pub(super) struct Answer {
    pub(super) reason: String,
    pub(super) audit_id: String,
    pub(super) advice: String,
    pub(super) retry: bool,
    pub(super) detail: String,
}

/// Why no request was received.
pub(super) enum NoRequest {
    /// The bytes are none.
    Malformed(Malformed),
    /// They did not come, or not in time.
    Io(io::Error),
}

impl Answer {
    fn new(reason: &str, advice: &str, retry: bool, detail: String) -> Self {
        Self { reason: reason.to_owned(), audit_id: String::new(), advice: advice.to_owned(), retry, detail }
    }

    pub(super) fn malformed(problem: &NoRequest) -> Self {
        let detail = match problem {
            NoRequest::Malformed(problem) => problem.to_string(),
            NoRequest::Io(problem) => problem.to_string(),
        };
        Self::new(
            "request.malformed",
            "launcher and attester are of different versions: restart the pod, then update the node",
            false,
            detail,
        )
    }

    /// The round took too long, or the attester is ending.
    pub(super) fn late(detail: &str) -> Self {
        Self::new("node.busy", "the node or the verifier has much to do: it is tried again", true, detail.to_owned())
    }

    /// The verifier decided.
    pub(super) fn decided(reason: String, audit_id: String) -> Self {
        let retry = is_late(&reason);
        let advice = if audit_id.is_empty() {
            "ask an operator of the verifier".to_owned()
        } else {
            format!("ask an operator of the verifier for: podseal explain {audit_id}")
        };
        Self { reason, audit_id, advice, retry, detail: "the verifier refused".to_owned() }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.advice(), refusal.retry(), refusal.to_string())
    }
}

impl From<NotRecorded> for Answer {
    fn from(refusal: NotRecorded) -> Self {
        Self::new(refusal.code(), refusal.advice(), refusal.retry(), refusal.to_string())
    }
}

impl From<&RoundError> for Answer {
    fn from(error: &RoundError) -> Self {
        let detail = error.to_string();
        if let RoundError::Collect(TpmError::ReplyAltered { step }) = error {
            let advice =
                format!("the TPM's reply to {step} was altered on its way: an operator finds out what stands between attester and TPM");
            return Self::new(error.code(), &advice, error.retry(), detail);
        }
        let advice = "the node cannot reach its verifier or its TPM at present: the attester's log on the node names the cause";
        Self::new(error.code(), advice, error.retry(), detail)
    }
}

impl From<PlaceError> for Answer {
    fn from(error: PlaceError) -> Self {
        let advice = "mount the node's podseal directory at /podseal, with the empty folder secrets in it";
        Self::new("place.not_mounted", advice, false, error.to_string())
    }
}

/// Receives the one request of a connection.
pub(super) async fn receive(stream: &mut UnixStream, deadline: Duration) -> Result<WorkloadRequest, NoRequest> {
    let steps = async {
        let mut head = [0; HEAD_LENGTH];
        stream.read_exact(&mut head).await.map_err(NoRequest::Io)?;
        let length = frame::length(head, &REQUEST).map_err(NoRequest::Malformed)?;
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await.map_err(NoRequest::Io)?;
        WorkloadRequest::decode(&message, &REQUEST).map_err(NoRequest::Malformed)
    };
    timeout(deadline, steps).await.unwrap_or_else(|_| Err(NoRequest::Io(io::ErrorKind::TimedOut.into())))
}

/// Sends the one reply.
pub(super) async fn send(stream: &mut UnixStream, reply: &WorkloadReply, bounds: &Bounds) -> io::Result<()> {
    let frame = frame::frame(&reply.encode(), &bounds.limits).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
    let steps = async {
        stream.write_all(&frame).await?;
        stream.shutdown().await
    };
    timeout(bounds.frame, steps).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads what a refused caller still sends, bounded: closing a socket with unread bytes would destroy the reply (unix(7)).
pub(super) async fn drain(stream: &mut UnixStream, bounds: &Bounds) {
    let mut rest = stream.take(bounds.limits.frame as u64);
    let _ = timeout(bounds.frame, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}
