//! JSON as Intel's provisioning certification service (PCS) signs it: an object, and a signature over its bytes as they came.

use crate::calendar::{self, told};
use crate::hex;
use crate::json::{self, Text, object};
use serde_json::value::RawValue;
use thiserror::Error;

/// Why bytes are no signed answer of the service.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CollateralError {
    /// No JSON, a member twice, or a value of another type.
    #[error("the {what} is {reason}; keep the service's answer byte by byte")]
    Json {
        /// TCB info, or the QE identity.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No object to sign, or no signature.
    #[error("the {what} has no {member}; keep the service's answer, signature included")]
    Member {
        /// TCB info, or the QE identity.
        what: &'static str,
        /// What is missing.
        member: &'static str,
    },
    /// The signature has another form.
    #[error("the signature of the {what} is not 128 hexadecimal digits in lower case; keep the service's answer byte by byte")]
    Signature {
        /// TCB info, or the QE identity.
        what: &'static str,
    },
}

/// An answer of the service: signed bytes, not verified and not parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedJson<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) signature: [u8; 64],
}

object! {
    TcbInfoAnswer { signed: &'a RawValue = "tcbInfo", signature: Text<'a> = "signature", }
}
object! {
    QeIdentityAnswer { signed: &'a RawValue = "enclaveIdentity", signature: Text<'a> = "signature", }
}

impl<'a> SignedJson<'a> {
    /// Finds object and signature in `{"tcbInfo": …, "signature": "…"}`.
    ///
    /// # Errors
    /// [`CollateralError`].
    pub fn tcb_info(bytes: &'a [u8]) -> Result<Self, CollateralError> {
        let what = "TCB info";
        let answer: TcbInfoAnswer<'a> = json::parse(bytes).map_err(|reason| CollateralError::Json { what, reason })?;
        Self::of(what, answer.signed, answer.signature)
    }

    /// Finds object and signature in `{"enclaveIdentity": …, "signature": "…"}`.
    ///
    /// # Errors
    /// [`CollateralError`].
    pub fn qe_identity(bytes: &'a [u8]) -> Result<Self, CollateralError> {
        let what = "QE identity";
        let answer: QeIdentityAnswer<'a> = json::parse(bytes).map_err(|reason| CollateralError::Json { what, reason })?;
        Self::of(what, answer.signed, answer.signature)
    }

    fn of(what: &'static str, signed: Option<&'a RawValue>, signature: Option<Text<'a>>) -> Result<Self, CollateralError> {
        let signed = signed.ok_or(CollateralError::Member { what, member: "object" })?;
        let signature = signature.ok_or(CollateralError::Member { what, member: "signature" })?;
        // One signature has one form: an altered byte never stays without effect.
        let digits = Some(&*signature).filter(|digits| !digits.bytes().any(|digit| digit.is_ascii_uppercase()));
        let signature = digits.and_then(hex::decode).and_then(|bytes| bytes.try_into().ok());
        Ok(Self { bytes: signed.get().as_bytes(), signature: signature.ok_or(CollateralError::Signature { what })? })
    }
}

/// From when to when something is good, seconds since the Unix epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First second.
    pub from: u64,
    /// Last second.
    pub until: u64,
}

impl Window {
    /// The time that both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Whether it has the second `now`.
    #[must_use]
    pub fn contains(self, now: u64) -> bool {
        self.from <= now && now <= self.until
    }

    /// Both ends, RFC 3339.
    pub(super) fn told(self) -> String {
        format!("{} to {}", told(self.from), told(self.until))
    }

    /// `issueDate` and `nextUpdate`, RFC 3339.
    pub(crate) fn of_texts(issue_date: &str, next_update: &str) -> Option<Self> {
        let seconds = |text: &str| text.parse().ok().and_then(|time| calendar::to_unix(&time));
        Some(Self { from: seconds(issue_date)?, until: seconds(next_update)? })
    }
}
