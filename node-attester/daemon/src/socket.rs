//! The workload socket: one connection, one request, one reply.

mod directory;
mod frames;
mod session;

use std::{sync::Arc, time::Duration};

use podseal_protocol::frame::WorkloadReply;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

use crate::{
    config::{Bounds, Node},
    csi::Tokens,
    identify::{Identifier, Peer},
    pod_log::Gate,
    round::{Arrivals, Waiting},
    sessions::Sessions,
};

pub use directory::{DirectoryError, SocketFile, listen};
use frames::Answer;

/// How long sessions may take to end after the socket was closed.
const LAST_CALL: Duration = Duration::from_secs(5);
/// After accept(2) failed, which it does where file descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// What sessions work with.
pub struct Desk {
    /// Who this node is.
    pub node: Node,
    /// Limits and deadlines.
    pub bounds: Bounds,
    /// Says who asks.
    pub identifier: Identifier,
    /// Lets containers pass that the pod log has.
    pub gate: Gate,
    /// One session for each start of a container.
    pub sessions: Sessions,
    /// Tokens of pods, where the kubelet brings them.
    pub tokens: Option<Arc<Tokens>>,
    /// Where a round learns that leaves are on their way.
    pub arrivals: Arrivals,
    /// Where leaves wait for a round.
    pub rounds: mpsc::Sender<Waiting>,
}

/// Serves launchers until `stop` says so; then waits for the sessions that are under way, bounded.
pub async fn serve(listener: UnixListener, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(desk.bounds.connections));
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while sessions.try_join_next().is_some() {}
        match (accepted, Arc::clone(&places).try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                let desk = Arc::clone(&desk);
                sessions.spawn(async move {
                    converse(&desk, stream).await;
                    drop(place);
                });
            }
            (Ok(_), Err(_)) => tracing::warn!(connections = desk.bounds.connections, "too many launchers at a time: one has to ask again"),
            (Err(error), _) => {
                tracing::error!(%error, "accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(LAST_CALL, async { while sessions.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(sessions = sessions.len(), "sessions were cut off");
    }
}

/// One connection, to its end.
async fn converse(desk: &Desk, mut stream: UnixStream) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(refusal) => return tracing::warn!(%refusal, "refused"),
    };
    let answer = match frames::receive(&mut stream, desk.bounds.frame).await {
        Ok(request) => session::hold(desk, &peer, &request, &mut stream).await,
        Err(problem) => Err(Answer::malformed(&problem)),
    };
    if let Err(Answer { reason, audit_id, advice, retry, detail }) = answer {
        tracing::warn!(pid = peer.pid(), reason, audit_id, retry, detail, "refused");
        let reply = WorkloadReply::Refused { reason, audit_id, advice, retry };
        if let Err(error) = frames::send(&mut stream, &reply, &desk.bounds).await {
            tracing::info!(%error, "the refusal was not taken");
        }
        frames::drain(&mut stream, &desk.bounds).await;
    }
}
