//! Connections whose callers have ended: each was opened by a child, and is held by the parent.
//!
//! The kernel names as the peer whoever called connect(2) (unix(7), `SO_PEERCRED`), however long ago that ended.

use std::env;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use podseal_protocol::Digest;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect as connect_to, socket};
use serde_json::{Value, json};

use crate::asking::{SOCKET, answer, request, session};
use crate::{invalid, print};

/// Prints the pids of `count` children that have ended, then, for each, what the attester answers over its connection.
pub(crate) fn gather(count: usize, verifier: Option<Digest>) -> io::Result<()> {
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        let (pid, mut connection) = through_a_child()?;
        let session = session(verifier)?;
        connection.write_all(&request(&session)?)?;
        sessions.push((pid, connection, session));
    }
    print(&sessions.iter().map(|(pid, _, _)| *pid).collect::<Value>())?;
    let answers = sessions.iter_mut().map(|(pid, connection, session)| json!({ "pid": pid, "answer": answer(connection, Some(session)) }));
    print(&answers.collect::<Value>())
}

/// The child: connects the socket that is its standard input.
pub(crate) fn connect() -> io::Result<()> {
    let address = SocketAddrUnix::new(SOCKET)?;
    Ok(connect_to(io::stdin(), &address)?)
}

fn through_a_child() -> io::Result<(u32, UnixStream)> {
    let socket: OwnedFd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let mut child = Command::new(env::current_exe()?).arg("connect").stdin(Stdio::from(socket.try_clone()?)).spawn()?;
    let pid = child.id();
    let status = child.wait()?;
    if status.success() { Ok((pid, UnixStream::from(socket))) } else { Err(invalid(format!("connect: {status}"))) }
}
