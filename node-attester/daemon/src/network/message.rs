//! What privileged and network process say to each other: settings once, then calls and replies, in the protocol's own strict encoding.

use std::time::Duration;

use podseal_protocol::{
    Limits, Purpose,
    cbor::{Decoder, Encoder, Malformed},
};
use podseal_wire::pinned::Timeouts;

use crate::{
    config::{Config, Verifier},
    hardening::{Exception, Exceptions, User},
};

const SETTINGS: &str = "podseal.network-settings.v1";
const READY: &str = "podseal.network-ready.v1";
const CALL: &str = "podseal.network-call.v1";
const REPLY: &str = "podseal.network-reply.v1";
/// Longest text in a message, in bytes.
const TEXT: usize = 2048;

/// What the network process has to know, and all that it is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the verifier is, and which.
    pub verifier: Verifier,
    /// In whose name challenges are asked for.
    pub node: String,
    /// Who the process is to be.
    pub user: User,
    /// Restrictions that may be missing.
    pub exceptions: Exceptions,
    /// Log lines as JSON.
    pub log_json: bool,
}

impl Settings {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            verifier: config.verifier.clone(),
            node: config.node.name.clone(),
            user: config.network_user,
            exceptions: config.exceptions.clone(),
            log_json: config.log_json,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { verifier: Verifier { address, id, timeouts }, node, user, exceptions, log_json } = self;
        let named: Vec<u64> = (0..).zip(Exception::ALL).filter(|(_, e)| exceptions.contains(*e)).map(|(number, _)| number).collect();
        let message = Encoder::message(SETTINGS, 10).text(address).digest(id);
        let message = message.uint(milliseconds(timeouts.connect)).uint(milliseconds(timeouts.call)).text(node);
        let message = message.uint(user.uid.into()).uint(user.gid.into()).uint(u64::from(*log_json));
        message.list(&named, |message, number| message.uint(*number)).finish()
    }

    pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, SETTINGS, 10, limits)?;
        let number = |d: &mut Decoder<'_>, item| d.uint_up_to(item, u32::MAX.into()).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let verifier = Verifier {
            address: d.text("settings.address", TEXT)?.to_owned(),
            id: d.digest("settings.verifier")?,
            timeouts: Timeouts {
                connect: Duration::from_millis(d.uint("settings.connect")?),
                call: Duration::from_millis(d.uint("settings.call")?),
            },
        };
        let node = d.text("settings.node", TEXT)?.to_owned();
        let user = User { uid: number(&mut d, "settings.uid")?, gid: number(&mut d, "settings.gid")? };
        let log_json = d.uint_up_to("settings.log_json", 1)? == 1;
        let most = Exception::ALL.len();
        let named = d.list("settings.exceptions", most, |d| d.uint_up_to("settings.exception", most as u64 - 1))?;
        d.end("settings")?;
        let exceptions = named.iter().filter_map(|n| Exception::ALL.get(usize::try_from(*n).ok()?)).copied().collect();
        Ok(Self { verifier, node, user, exceptions, log_json })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The network process has restricted itself and takes calls.
pub(super) fn ready() -> Vec<u8> {
    Encoder::message(READY, 1).finish()
}

pub(super) fn is_ready(bytes: &[u8], limits: &Limits) -> Result<(), Malformed> {
    Decoder::message(bytes, READY, 1, limits)?.end("ready")
}

/// Which call of the verifier's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A challenge for this purpose; there is no body.
    Challenge(Purpose),
    /// Exchange; the body is the exchange.
    Exchange,
    /// Join; the body is the request.
    Join,
    /// Activate; the body is the activation.
    Activate,
}

const METHODS: [Method; 5] =
    [Method::Challenge(Purpose::Release), Method::Challenge(Purpose::Join), Method::Exchange, Method::Join, Method::Activate];

/// A call, numbered so that its reply finds back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) method: Method,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn encode(&self) -> Vec<u8> {
        let method = (0..).zip(METHODS).find(|(_, method)| *method == self.method).map_or(u64::MAX, |(number, _)| number);
        Encoder::message(CALL, 4).uint(self.number).uint(method).bytes(&self.body).finish()
    }

    pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, CALL, 4, limits)?;
        let number = d.uint("call.number")?;
        let method = d.uint_up_to("call.method", METHODS.len() as u64 - 1)?;
        let method = usize::try_from(method).ok().and_then(|at| METHODS.get(at)).copied().unwrap_or(Method::Exchange);
        let body = d.bytes("call.body", limits.message)?.to_vec();
        d.end("call")?;
        Ok(Self { number, method, body })
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The verifier answered this.
    Body(Vec<u8>),
    /// It could not be reached, or has too much to do.
    Away(String),
    /// It does not answer such a call.
    Refused(String),
}

/// The answer to the call of this number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) number: u64,
    pub(super) answer: Answer,
}

impl Reply {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match &self.answer {
            Answer::Body(body) => (0, body.as_slice()),
            Answer::Away(words) => (1, short(words)),
            Answer::Refused(words) => (2, short(words)),
        };
        Encoder::message(REPLY, 4).uint(self.number).uint(kind).bytes(bytes).finish()
    }

    pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, REPLY, 4, limits)?;
        let number = d.uint("reply.number")?;
        let words = |d: &mut Decoder<'_>| d.bytes("reply.words", TEXT).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let answer = match d.uint_up_to("reply.kind", 2)? {
            0 => Answer::Body(d.bytes("reply.body", limits.message)?.to_vec()),
            1 => Answer::Away(words(&mut d)?),
            _ => Answer::Refused(words(&mut d)?),
        };
        d.end("reply")?;
        Ok(Self { number, answer })
    }
}

fn short(words: &str) -> &[u8] {
    words.as_bytes().get(..TEXT).unwrap_or(words.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use podseal_protocol::Digest;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    #[test]
    fn what_is_written_is_read() {
        let settings = Settings {
            verifier: Verifier {
                address: "https://verifier.example:7443".to_owned(),
                id: Digest([7; 32]),
                timeouts: Timeouts { connect: Duration::from_millis(3_000), call: Duration::from_millis(10_000) },
            },
            node: "node-a".to_owned(),
            user: User { uid: 65_534, gid: 7 },
            exceptions: [Exception::Seccomp, Exception::PrivilegedNetwork].into_iter().collect(),
            log_json: true,
        };
        let read = Settings::decode(&settings.encode(), &LIMITS).unwrap();
        assert_eq!(format!("{read:?}"), format!("{settings:?}"));
        for method in METHODS {
            let call = || Call { number: 7, method, body: vec![1, 2, 3] };
            assert_eq!(Call::decode(&call().encode(), &LIMITS).unwrap(), call());
        }
        for answer in [Answer::Body(vec![0; 5_000]), Answer::Away("away".to_owned()), Answer::Refused("x".repeat(TEXT))] {
            let reply = || Reply { number: 300, answer: answer.clone() };
            assert_eq!(Reply::decode(&reply().encode(), &LIMITS).unwrap(), reply());
        }
        is_ready(&ready(), &LIMITS).unwrap();
    }

    #[test]
    fn one_message_is_not_another_and_no_byte_may_follow() {
        let call = Call { number: 1, method: Method::Join, body: Vec::new() }.encode();
        let reply = Reply { number: 1, answer: Answer::Body(Vec::new()) }.encode();
        assert!(Call::decode(&reply, &LIMITS).is_err() && Reply::decode(&call, &LIMITS).is_err() && is_ready(&call, &LIMITS).is_err());
        assert!(Call::decode(&[call, vec![0]].concat(), &LIMITS).is_err());
        assert!(Reply::decode(&[reply, vec![0]].concat(), &LIMITS).is_err());
    }
}
