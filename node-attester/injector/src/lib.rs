//! The admission webhook: a pod that asks for secrets gets the launcher as the first process of each container that asks, and the volume
//! that the launcher lies in. The webhook sees no secret, and asks nobody: what it answers hangs on the request and on the verifier's
//! identity alone.

pub mod admission;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod certificate;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod config;
pub mod http;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod serve;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod tls;
