//! Requests to the attester, and its replies as JSON.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use podseal_protocol::delivery::Session;
use podseal_protocol::frame::{self, HEAD_LENGTH, WorkloadReply, WorkloadRequest};
use podseal_protocol::{Digest, Leaf, Limits};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::invalid;

pub(crate) const SOCKET: &str = "/podseal/attester.sock";
const TOKEN: &str = "/podseal/token";
const LIMITS: Limits = Limits::DEFAULT;

/// Asks as a launcher does.
pub(crate) fn ask(verifier: Option<Digest>) -> io::Result<Value> {
    let mut session = session(verifier)?;
    let mut attester = UnixStream::connect(SOCKET)?;
    attester.write_all(&request(&session)?)?;
    Ok(answer(&mut attester, Some(&mut session)))
}

/// Asks over two connections, and reads when both requests are sent.
pub(crate) fn ask_twice(verifier: Option<Digest>) -> io::Result<Value> {
    let mut sessions = [session(verifier)?, session(verifier)?];
    let mut connections = [UnixStream::connect(SOCKET)?, UnixStream::connect(SOCKET)?];
    for (attester, session) in connections.iter_mut().zip(&sessions) {
        attester.write_all(&request(session)?)?;
    }
    let pairs = connections.iter_mut().zip(&mut sessions);
    Ok(pairs.map(|(attester, session)| answer(attester, Some(session))).collect())
}

/// Sends any message, in hexadecimal digits.
pub(crate) fn send(message: &str) -> io::Result<Value> {
    let bytes: Result<Vec<u8>, _> =
        message.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).map_err(invalid)?, 16).map_err(invalid)).collect();
    let mut attester = UnixStream::connect(SOCKET)?;
    attester.write_all(&frame::frame(&bytes?, &LIMITS).map_err(|error| invalid(error.to_string()))?)?;
    Ok(answer(&mut attester, None))
}

/// A session with a fresh key.
pub(crate) fn session(verifier: Option<Digest>) -> io::Result<Session> {
    let (mut key, mut salt) = (Zeroizing::new([0; 32]), [0; 32]);
    let mut random = File::open("/dev/urandom")?;
    random.read_exact(key.as_mut())?;
    random.read_exact(&mut salt)?;
    Ok(Session::new(verifier.unwrap_or(Digest([0; 32])), key, salt))
}

/// The honest frame of a session, with the pod's token where there is one.
pub(crate) fn request(session: &Session) -> io::Result<Vec<u8>> {
    let workload_key = session.public_key().ok_or_else(|| invalid("no key"))?;
    let token = fs::read(TOKEN).unwrap_or_default();
    let message = WorkloadRequest { salt: *session.salt(), workload_key, token }.encode();
    frame::frame(&message, &LIMITS).map_err(|error| invalid(error.to_string()))
}

/// The reply to a request; a delivery is opened with the session's key.
pub(crate) fn answer(attester: &mut UnixStream, session: Option<&mut Session>) -> Value {
    match receive(attester) {
        Ok(WorkloadReply::Refused { reason, audit_id, advice, retry }) => {
            json!({ "refused": reason, "audit_id": audit_id, "advice": advice, "retry": retry })
        }
        Ok(WorkloadReply::Delivered { leaf, delivery, .. }) => {
            json!({ "leaf": described(&leaf), "files": session.map(|session| opened(session, &leaf, &delivery)) })
        }
        Err(error) => json!({ "unanswered": error.to_string() }),
    }
}

fn receive(attester: &mut UnixStream) -> io::Result<WorkloadReply> {
    let mut head = [0; HEAD_LENGTH];
    attester.read_exact(&mut head)?;
    let length = frame::length(head, &LIMITS).map_err(|error| invalid(error.to_string()))?;
    let mut message = vec![0; length];
    attester.read_exact(&mut message)?;
    WorkloadReply::decode(&message, &LIMITS).map_err(|error| invalid(error.to_string()))
}

/// Who the attester says asks.
fn described(leaf: &[u8]) -> Value {
    match Leaf::decode(leaf, &LIMITS) {
        Ok(leaf) => json!({
            "cluster": leaf.cluster,
            "namespace": leaf.namespace,
            "pod": leaf.pod,
            "pod_uid": leaf.pod_uid,
            "service_account": leaf.service_account,
            "node_uid": leaf.node_uid,
            "container": leaf.container,
            "container_id": leaf.container_id,
            "launcher": leaf.launcher.to_string(),
            "secrets": leaf.secrets.iter().map(|asked| format!("{}={}", asked.file, asked.secret)).collect::<Vec<_>>(),
        }),
        Err(error) => json!(error.to_string()),
    }
}

/// The files of a delivery with the SHA-256 of each, or why it cannot be opened.
fn opened(session: &mut Session, leaf: &[u8], delivery: &[u8]) -> Value {
    match session.take(leaf, delivery, &LIMITS) {
        Ok(taken) => {
            let files = taken.files.iter().map(|file| (file.file.clone(), json!(Digest::of(&file.value).to_string())));
            Value::Object(files.collect::<Map<_, _>>())
        }
        Err(error) => json!(error.to_string()),
    }
}
