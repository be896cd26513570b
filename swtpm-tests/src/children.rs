//! Children that live for long, and what they must not inherit.

use std::io;
use std::process::{Child, Command};

/// Starts it without descriptors of ours. The TPM software stack opens its sockets without O_CLOEXEC: a daemon that was started meanwhile would hold the
/// connection to a software TPM, which takes one client at a time, after we let go of it.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    const AFTER_STANDARD_ERROR: i32 = 3;
    close_fds::set_fds_cloexec(AFTER_STANDARD_ERROR, &[]);
    command.spawn()
}
