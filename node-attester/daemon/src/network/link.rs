//! The privileged process's end: calls go to the network process that there is at present, and replies find back.

use std::{
    collections::HashMap,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{fd::AsFd, unix::net},
    time::Duration,
};

use podseal_protocol::Limits;
use podseal_wire::pinned::Timeouts;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::{
    io::Interest,
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    NetworkError, at, frame_limits,
    message::{self, Answer, Call, Method, Reply},
    stream,
};

/// Calls that may wait for the network process before a caller has to.
const WAITING: usize = 16;
/// Calls at a time: fewer than the network process takes, so that it always reads, and neither waits for the other to read first.
const UNDER_WAY: usize = 4;
/// What a call may take beyond its own deadlines.
const MARGIN: Duration = Duration::from_secs(1);

struct Asked {
    method: Method,
    body: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

/// The way to the verifier. Clones share it.
#[derive(Clone)]
pub struct Way {
    calls: mpsc::Sender<Asked>,
    longest: Duration,
}

impl Way {
    /// Over a socket at whose other end a network process, or [`super::serve`], is.
    pub fn over(socket: UnixStream, timeouts: Timeouts, limits: Limits) -> Self {
        let (way, mut queue) = Self::new(timeouts);
        tokio::spawn(async move {
            let _closed = carry(socket, &mut queue, &limits, None).await;
        });
        way
    }

    fn new(timeouts: Timeouts) -> (Self, mpsc::Receiver<Asked>) {
        let (calls, queue) = mpsc::channel(WAITING);
        (Self { calls, longest: timeouts.connect + timeouts.call + MARGIN }, queue)
    }

    /// One call of the verifier's. While there is no network process it waits for the next.
    pub(crate) async fn call(&self, method: Method, body: Vec<u8>) -> Answer {
        let ended = || Answer::Away("the network process has ended: it is tried again".to_owned());
        let (answer, answered) = oneshot::channel();
        let steps = async {
            self.calls.send(Asked { method, body, answer }).await.map_err(|_| ended())?;
            answered.await.map_err(|_| ended())
        };
        let late = |_| Ok(Answer::Away(format!("no word from the network process within {} ms", self.longest.as_millis())));
        timeout(self.longest, steps).await.unwrap_or_else(late).unwrap_or_else(|away| away)
    }
}

/// The way, and the task that keeps it open.
pub struct Link {
    /// To the verifier.
    pub way: Way,
    /// Ends when there will never be a network process again.
    pub ended: JoinHandle<NetworkError>,
}

impl Link {
    /// Waits until the first network process has restricted itself.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn open(control: net::UnixStream, timeouts: Timeouts, limits: Limits) -> Result<Self, NetworkError> {
        control.set_nonblocking(true).map_err(at("control socket"))?;
        let control = UnixStream::from_std(control).map_err(at("control socket"))?;
        let (way, mut queue) = Way::new(timeouts);
        let (ready, is_ready) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let mut ready = Some(ready);
            loop {
                let socket = match next(&control).await {
                    Ok(socket) => socket,
                    Err(error) => return error,
                };
                if carry(socket, &mut queue, &limits, ready.take()).await.is_none() {
                    return NetworkError::Ended;
                }
            }
        });
        match is_ready.await {
            Ok(()) => Ok(Self { way, ended }),
            Err(_) => Err(ended.await.unwrap_or(NetworkError::Ended)),
        }
    }
}

/// The socket to the next network process.
async fn next(control: &UnixStream) -> Result<UnixStream, NetworkError> {
    let received = control.async_io(Interest::READABLE, || receive(control)).await;
    let socket = received.map_err(at("control socket"))?.ok_or(NetworkError::Ended)?;
    socket.set_nonblocking(true).map_err(at("its socket"))?;
    UnixStream::from_std(socket).map_err(at("its socket"))
}

/// One socket; `None` when the keeper has ended.
fn receive(control: &impl AsFd) -> io::Result<Option<net::UnixStream>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(control, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let sockets = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    sockets.flatten().last().map(|fd| Some(net::UnixStream::from(fd))).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Carries calls until the socket fails: `Some`, or until nobody will call any more: `None`.
async fn carry(socket: UnixStream, queue: &mut mpsc::Receiver<Asked>, limits: &Limits, ready: Option<oneshot::Sender<()>>) -> Option<()> {
    let (mut read, mut write) = socket.into_split();
    let within = frame_limits(limits);
    let first = stream::receive(&mut read, limits).await.ok().filter(|frame| message::is_ready(frame, &within).is_ok());
    first.as_ref().and(ready).map(|ready| ready.send(()));
    if first.is_none() {
        return Some(());
    }
    let (replies, mut arrived) = mpsc::channel(1);
    let limits = *limits;
    let reader = tokio::spawn(async move {
        while let Ok(frame) = stream::receive(&mut read, &limits).await {
            let Ok(reply) = Reply::decode(&frame, &within) else { return };
            if replies.send(reply).await.is_err() {
                return;
            }
        }
    });
    // Whoever gave up stays in it until the reply comes, and no number comes back: so no reply finds another's caller.
    let mut under_way: HashMap<u64, oneshot::Sender<Answer>> = HashMap::new();
    let mut number = 0;
    let ended = loop {
        tokio::select! {
            asked = queue.recv(), if under_way.len() < UNDER_WAY => {
                let Some(Asked { method, body, answer }) = asked else { break None };
                number += 1;
                under_way.insert(number, answer);
                if stream::send(&mut write, &Call { number, method, body }.encode()).await.is_err() {
                    break Some(());
                }
            }
            reply = arrived.recv() => {
                let Some(Reply { number, answer }) = reply else { break Some(()) };
                under_way.remove(&number).map(|waits| waits.send(answer));
            }
        }
    };
    reader.abort();
    ended
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    async fn call(far: &mut UnixStream) -> Call {
        Call::decode(&stream::receive(far, &LIMITS).await.unwrap(), &LIMITS).unwrap()
    }

    #[tokio::test]
    async fn a_late_reply_finds_nobody_elses_caller() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(5) };
        let way = Way::over(near, timeouts, LIMITS);
        stream::send(&mut far, &message::ready()).await.unwrap();
        let mut answers = Vec::new();
        for given_up in [true, false] {
            let way = way.clone();
            let caller = tokio::spawn(async move { way.call(Method::Join, Vec::new()).await });
            let Call { number, .. } = call(&mut far).await;
            if given_up {
                caller.abort();
            }
            answers.push((number, caller));
        }
        for (order, (number, _)) in (0..).zip(&answers) {
            let answer = Answer::Body(vec![order]);
            stream::send(&mut far, &Reply { number: *number, answer }.encode()).await.unwrap();
        }
        let (_, second) = answers.pop().unwrap();
        assert_eq!(second.await.unwrap(), Answer::Body(vec![1]));
    }
}
