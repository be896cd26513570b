//! What every command gets: how to reach the verifier, and for whom to print.

use crate::{
    connection::{ConnectionFlags, Environment, Session},
    failure::Failure,
    output::Format,
};

/// The global flags, and the environment as `main` read it.
#[derive(Debug)]
pub(crate) struct Context {
    /// For whom to print.
    pub(crate) format: Format,
    pub(crate) connection: ConnectionFlags,
    pub(crate) environment: Environment,
}

impl Context {
    /// Connects to the configured verifier.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        self.connection.connect(&self.environment).await
    }
}
