//! Endorsements (RFC 9334, 4.1): what the makers of hardware publish and a verifier needs to appraise evidence.
//!
//! Which there are, what a file with one is called, where each service has it, and what its answer holds. Nothing is known to be true of
//! an answer here: only what decides *between* answers is read from it (whom it is about, its dates, its number). Its signature is the
//! business of the room that appraises with it.

mod answer;
mod content;
mod facts;
mod file;
mod key;
mod pem;
mod service;
#[cfg(test)]
mod tests;

pub use crate::snp::Product;
pub use answer::{Answer, AnswerError};
pub use content::{Content, ContentError, Document, LARGEST};
pub use facts::{Facts, Number, SKEW, Untimely};
pub use file::{Endorsed, FileError};
pub use key::{Endorsement, Kind, NotAnEndorsement, PckCa, Vcek};
pub use service::{Service, ServiceKind};
