//! What decides between two answers: dates and numbers.

use std::fmt;

use thiserror::Error;

use super::{
    content::{Content, ContentError, Document},
    key::Endorsement,
};
use crate::{
    calendar::told,
    hex,
    json::{self, Text, object},
    tdx::Window,
    x509::{self, Crl},
};

/// How far a maker's clock may be ahead of ours, in seconds.
pub const SKEW: u64 = 300;

/// A number that only grows: `tcbEvaluationDataNumber`, or a list's `cRLNumber`, which has at most 20 octets (RFC 5280, 5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number([u8; 20]);

impl Number {
    /// From its big-endian octets; `None` where it has more than 20.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let mut number = [0; 20];
        let significant = bytes.iter().position(|byte| *byte != 0).and_then(|at| bytes.get(at..)).unwrap_or_default();
        for (to, from) in number.iter_mut().rev().zip(significant.iter().rev()) {
            *to = *from;
        }
        (significant.len() <= number.len()).then_some(Self(number))
    }

    /// From the digits that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
        Self::from_be_bytes(&hex::decode(&padded)?).filter(|number| number.to_string() == digits)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::from_be_bytes(&number.to_be_bytes()).unwrap_or(Self([0; 20]))
    }
}

/// Hexadecimal digits without leading zeros, as other tools show a list's number.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(&self.0);
        f.write_str(match digits.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        })
    }
}

/// What an endorsement says of itself, unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its number, where it has one.
    pub number: Option<Number>,
    /// When it was issued, or is valid from; seconds since 1970.
    pub issued: u64,
    /// When the next one is due, or it ends.
    pub until: u64,
}

/// Why an endorsement is of no use now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Untimely {
    /// Issued later than now.
    #[error("it is from the future (issued {0}): set the clock, or find out who answers")]
    Future(String),
    /// Its next one was due before now.
    #[error("it was good until {0}")]
    Expired(String),
}

impl Facts {
    /// Reads them, where `content` is of the form of `endorsement` and about what that is about.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn read(endorsement: &Endorsement, content: &Content) -> Result<Self, ContentError> {
        content.check(endorsement)?;
        match &content.document {
            None => certificates(&content.certificates),
            Some(Document::Crl(der)) => crl(der),
            Some(Document::TcbInfo(json)) => {
                let document: TcbInfoDocument<'_> = parse("TCB info", json)?;
                let inner = document.tcb_info.unwrap_or_default();
                let found = format!("{} {}", inner.id.as_deref().unwrap_or_default(), inner.fmspc.as_deref().unwrap_or_default());
                if let Endorsement::IntelTcbInfo { fmspc } = endorsement {
                    let wanted = format!("TDX {}", hex::encode(fmspc));
                    podseal_protocol::require(
                        found.eq_ignore_ascii_case(&wanted),
                        ContentError::Other { what: "TCB info", found, wanted },
                    )?;
                }
                intel("TCB info", &inner)
            }
            Some(Document::QeIdentity(json)) => {
                let document: QeIdentityDocument<'_> = parse("a quoting enclave's identity", json)?;
                let inner = document.identity.unwrap_or_default();
                let found = inner.id.as_deref().unwrap_or_default().to_owned();
                let wanted = "TD_QE".to_owned();
                podseal_protocol::require(found == wanted, ContentError::Other { what: "an identity", found, wanted })?;
                intel("a quoting enclave's identity", &inner)
            }
        }
    }

    /// Whether it is good at `now`, seconds since 1970.
    ///
    /// # Errors
    /// [`Untimely`].
    pub fn current(&self, now: u64) -> Result<(), Untimely> {
        podseal_protocol::require(self.issued <= now.saturating_add(SKEW), Untimely::Future(told(self.issued)))?;
        podseal_protocol::require(now <= self.until, Untimely::Expired(told(self.until)))
    }
}

object! {
    TcbInfoDocument { tcb_info: Header<'a> = "tcbInfo", }
}
object! {
    QeIdentityDocument { identity: Header<'a> = "enclaveIdentity", }
}
object! {
    /// What both begin with; an identity is of no family of platforms.
    Header {
        id: Text<'a> = "id",
        fmspc: Text<'a> = "fmspc",
        issued: Text<'a> = "issueDate",
        until: Text<'a> = "nextUpdate",
        number: u32 = "tcbEvaluationDataNumber",
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(wanted: &'static str, json: &'a [u8]) -> Result<T, ContentError> {
    json::parse(json).map_err(|problem| ContentError::NotJson { wanted, problem })
}

fn intel(wanted: &'static str, header: &Header<'_>) -> Result<Facts, ContentError> {
    let facts = || {
        let Window { from, until } = Window::of_texts(header.issued.as_deref()?, header.until.as_deref()?)?;
        Some(Facts { number: Some(header.number?.into()), issued: from, until })
    };
    let problem = || "wanted issueDate, nextUpdate and tcbEvaluationDataNumber".to_owned();
    facts().ok_or_else(|| ContentError::NotJson { wanted, problem: problem() })
}

/// A list without a number could be put in the place of a newer one, and one without an end is current forever.
fn crl(der: &[u8]) -> Result<Facts, ContentError> {
    let read = || {
        let list = Crl::parse(der).ok()?;
        let (issued, until) = list.window()?;
        Some(Facts { number: Some(Number::from_be_bytes(&list.number()?)?), issued, until })
    };
    read().ok_or(ContentError::NotACrl)
}

/// The time in which all of them are valid.
fn certificates(certificates: &[Vec<u8>]) -> Result<Facts, ContentError> {
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let mut facts = Facts { number: None, issued: 0, until: u64::MAX };
    for der in certificates {
        let validity = x509::parse(der).ok_or(ContentError::NotACertificate)?.validity().clone();
        facts.issued = facts.issued.max(seconds(validity.not_before.timestamp()));
        facts.until = facts.until.min(seconds(validity.not_after.timestamp()));
    }
    Ok(facts)
}
