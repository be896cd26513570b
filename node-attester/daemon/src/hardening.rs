//! What each process of the attester gives up before it does anything else, and what happens on a kernel that cannot take it away.
//!
//! Each function is called while its process has one thread: Linux restricts threads, and later ones inherit. Whatever cannot be applied is
//! a refusal to start, unless the configuration names the [`Exception`]. docs/THREAT_MODEL.md has the resulting table, and a test compares
//! it with `/proc`.

mod exceptions;
mod files;
mod rights;
mod syscalls;

use std::io;

pub use exceptions::{Exception, Exceptions};
pub use files::READABLE;
pub use rights::User;

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum HardeningError {
    /// The operating system refuses a step that no exception stands for.
    #[error("hardening: {step}: {problem}: start the attester as root, with the capabilities that its systemd unit grants")]
    System {
        /// Which step.
        step: &'static str,
        /// What it said.
        problem: io::Error,
    },
    /// The process still is, or can do, what it must not.
    #[error(
        "hardening: {what}: found {found}, wanted {wanted}: start the attester as root, with the capabilities that its systemd unit grants"
    )]
    Rights {
        /// Of what.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        wanted: String,
    },
    /// A restriction cannot be applied on this machine or with this configuration.
    #[error(
        "hardening: {}: found {found}, wanted {}: {}, or name \"{exception}\" in hardening.exceptions, which becomes part of what this node \
         states about itself", .exception.subject(), .exception.wanted(), .exception.remedy()
    )]
    Lacking {
        /// The exception that would stand for it.
        exception: Exception,
        /// What the system has instead.
        found: String,
    },
}

fn system<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> HardeningError {
    move |problem| HardeningError::System { step, problem: problem.into() }
}

/// A restriction that could not be applied: an error, unless it is excepted.
fn unless_excepted(exceptions: &Exceptions, exception: Exception, applied: Result<(), String>) -> Result<(), HardeningError> {
    match applied {
        Err(found) if !exceptions.contains(exception) => Err(HardeningError::Lacking { exception, found }),
        _ => Ok(()),
    }
}

/// Whether the privileged process can do without a network; `tpm_needs_network` is a software TPM's TCP connection.
///
/// # Errors
/// It cannot, and no exception is named.
pub fn can_do_without_network(exceptions: &Exceptions, tpm_needs_network: bool) -> Result<(), HardeningError> {
    let reached = || Err("a TPM that is reached over TCP (tpm.tcti is swtpm:…)".to_owned());
    unless_excepted(exceptions, Exception::PrivilegedNetwork, if tpm_needs_network { reached() } else { Ok(()) })
}

/// The privileged process: no network, no program to run, few capabilities.
///
/// # Errors
/// The first restriction that does not hold.
pub fn privileged(exceptions: &Exceptions, tpm_needs_network: bool) -> Result<(), HardeningError> {
    can_do_without_network(exceptions, tpm_needs_network)?;
    rights::keep_few()?;
    rights::without_core_dumps()?;
    let denied = syscalls::deny_to_privileged(tpm_needs_network);
    unless_excepted(exceptions, Exception::Seccomp, denied)
}

/// The keeper: another user without capabilities. It runs one program, the network process, and hears from it only that it ended.
///
/// # Errors
/// The first restriction that does not hold.
pub fn keeper(user: User) -> Result<(), HardeningError> {
    rights::become_user(user)?;
    rights::without_core_dumps()
}

/// The network process: another user without capabilities, a handful of files to read, one port to connect to, few system calls.
///
/// # Errors
/// The first restriction that does not hold.
pub fn network(user: User, exceptions: &Exceptions, port: u16) -> Result<(), HardeningError> {
    rights::become_user(user)?;
    rights::without_core_dumps()?;
    unless_excepted(exceptions, Exception::Landlock, files::only_what_names_need())?;
    unless_excepted(exceptions, Exception::LandlockNet, files::only_port(port))?;
    unless_excepted(exceptions, Exception::Seccomp, syscalls::allow_to_network())
}
