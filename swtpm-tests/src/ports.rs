//! Free TCP ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::BenchError;

static NEXT: AtomicU16 = AtomicU16::new(0);
const FIRST: u16 = 20_000;
const SPAN: u16 = 12_000;

/// Two listeners on neighbouring ports, P and P + 1: a TPM's command and control ports, as the `swtpm` TCTI expects them.
///
/// Drop them to hand the ports to another process. No port is given twice in this process; the range lies below the kernel's ephemeral ports.
pub(crate) fn neighbours() -> Result<(TcpListener, TcpListener), BenchError> {
    let start = (std::process::id() as u16).wrapping_mul(2);
    for _ in 0..SPAN / 2 {
        let port = FIRST + start.wrapping_add(NEXT.fetch_add(2, Ordering::Relaxed)) % SPAN;
        let pair = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .and_then(|first| Ok((first, TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1))?)));
        if let Ok(pair) = pair {
            return Ok(pair);
        }
    }
    Err(BenchError::answer("the loopback address", "no two neighbouring free ports", "ports between 20000 and 32000"))
}

/// A free port for a server that is about to listen.
pub(crate) fn free() -> Result<u16, BenchError> {
    port_of(&neighbours()?.0)
}

/// The port that a listener of [`neighbours`] holds.
pub(crate) fn port_of(listener: &TcpListener) -> Result<u16, BenchError> {
    Ok(listener.local_addr().map_err(BenchError::io("ask for a socket's port"))?.port())
}
