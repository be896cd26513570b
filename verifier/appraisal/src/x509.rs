//! X.509 as hardware makers write it: paths to a root that somebody configured, and revocation lists.
//!
//! RFC 5280, 6.1. Makers mark extensions critical that the TLS stack's path building refuses, sign with RSASSA-PSS, and pin by key rather
//! than by name; each evidence kind says in its [`Profile`] what its maker's certificates may have. Nothing here reads a clock: time is
//! an argument.

mod above;
mod crl;
mod der;
mod kept;
mod name;
mod path;
pub mod pem;
mod revocation;
mod roots;
mod signature;
#[cfg(test)]
mod tests;

pub use above::above;
pub(crate) use crl::serial;
pub use crl::{Crl, CrlError, Issuer};
pub(crate) use name::{common_name, rfc4514};
pub use path::{Path, PathError, Profile, beside, find_any_path, find_path, is_signed, parse};
pub use revocation::{Chain, CurrentList};
pub use roots::{Anchor, EvidenceKind, RootError, Roots};
pub use signature::signed_by;
