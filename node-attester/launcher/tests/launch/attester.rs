//! The other end of the socket: takes one request per connection and answers as the test says.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use podseal_protocol::{
    Limits,
    frame::{HEAD_LENGTH, WorkloadReply, WorkloadRequest, frame, length},
};

/// What one connection gets.
pub(crate) enum Answer {
    /// A reply to the request.
    Reply(WorkloadReply),
    /// These bytes, then the end of the stream.
    Bytes(Vec<u8>),
    /// Nothing, until the launcher gives up.
    Silence,
}

/// Decides about one connection.
pub(crate) type Script = Box<dyn FnOnce(&WorkloadRequest) -> Answer + Send>;

/// Requests as they came in.
pub(crate) struct Attester {
    requests: Receiver<WorkloadRequest>,
}

impl Attester {
    /// Listens, and answers one connection after the other; after the last script nobody listens any more.
    pub(crate) fn listen(socket: &Path, scripts: Vec<Script>) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        fs::set_permissions(socket, Permissions::from_mode(0o777)).unwrap();
        let (sender, requests) = channel();
        thread::spawn(move || serve(&listener, scripts, &sender));
        Self { requests }
    }

    /// Waits for the next request.
    pub(crate) fn asked(&self) -> WorkloadRequest {
        self.requests.recv().expect("a request")
    }

    /// The requests that nobody has looked at; call it when the launcher has ended.
    pub(crate) fn requests(&self) -> Vec<WorkloadRequest> {
        self.requests.try_iter().collect()
    }
}

fn serve(listener: &UnixListener, scripts: Vec<Script>, requests: &Sender<WorkloadRequest>) {
    for script in scripts {
        let (mut stream, _) = listener.accept().unwrap();
        let request = receive(&mut stream);
        // The test may have ended, and then nobody wants to know.
        let _ = requests.send(request.clone());
        match script(&request) {
            Answer::Reply(reply) => {
                let _ = stream.write_all(&frame(&reply.encode(), &Limits::DEFAULT).unwrap());
            }
            Answer::Bytes(bytes) => {
                let _ = stream.write_all(&bytes);
            }
            Answer::Silence => {
                let _ = stream.read(&mut [0]);
            }
        }
    }
}

fn receive(stream: &mut UnixStream) -> WorkloadRequest {
    let mut head = [0; HEAD_LENGTH];
    stream.read_exact(&mut head).unwrap();
    let mut message = vec![0; length(head, &Limits::DEFAULT).unwrap()];
    stream.read_exact(&mut message).unwrap();
    WorkloadRequest::decode(&message, &Limits::DEFAULT).unwrap()
}

/// A refusal.
pub(crate) fn refusal(reason: &str, audit_id: &str, advice: &str, retry: bool) -> WorkloadReply {
    WorkloadReply::Refused { reason: reason.to_owned(), audit_id: audit_id.to_owned(), advice: advice.to_owned(), retry }
}
