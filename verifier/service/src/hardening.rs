//! What a process that holds secrets does first: no core dumps, no debugger of the same user, no file that others can read.

use std::io;

use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask},
};
use thiserror::Error;

/// The system refused.
#[derive(Debug, Error)]
#[error("{what}: {error}: the verifier does not run where it cannot keep its memory to itself")]
pub struct HardeningError {
    what: &'static str,
    error: io::Error,
}

/// Hardens this process.
///
/// # Errors
/// [`HardeningError`].
pub fn harden() -> Result<(), HardeningError> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| HardeningError { what: "setrlimit(RLIMIT_CORE)", error: error.into() })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| HardeningError { what: "prctl(PR_SET_DUMPABLE)", error: error.into() })
}
