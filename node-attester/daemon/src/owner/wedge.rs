//! A TPM that takes a command and never answers holds the owner's thread inside the software stack, which waits for ever. Ending the
//! connection from outside makes that wait return with an error, and the next job opens the device anew.

use std::net::{SocketAddr, ToSocketAddrs as _};

use rustix::{
    fd::OwnedFd,
    net::{Shutdown, getpeername, shutdown},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

use crate::config::Tcti;

/// Ends every connection of this process to that TPM; says how many there were. A device file needs no help: its driver gives up by itself
/// (Linux, drivers/char/tpm/tpm-interface.c: `tpm_calc_ordinal_duration`).
pub(super) fn end_connections(tcti: &Tcti) -> usize {
    let Tcti::Swtpm { host, port } = tcti else { return 0 };
    let Ok(addresses) = (host.as_str(), *port).to_socket_addrs() else { return 0 };
    let addresses: Vec<SocketAddr> = addresses.collect();
    own_descriptors().iter().filter(|fd| leads_to(fd, &addresses) && shutdown(fd, Shutdown::Both).is_ok()).count()
}

fn leads_to(fd: &OwnedFd, addresses: &[SocketAddr]) -> bool {
    let peer = getpeername(fd).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
    peer.is_some_and(|peer| addresses.contains(&peer))
}

/// A second descriptor for each that is open in this process, whoever opened it (proc(5), `/proc/self/fd`; pidfd_getfd(2)).
fn own_descriptors() -> Vec<OwnedFd> {
    let own: Pid = getpid();
    let Ok(process) = pidfd_open(own, PidfdFlags::empty()) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()).collect()
}
