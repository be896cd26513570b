//! A session: identify, claim, wait for the round, and hand over what it brought.

use podseal_protocol::{
    Limits,
    delivery::{Delivery, Receipt},
    exchange::Outcome,
    frame::{WorkloadReply, WorkloadRequest},
};
use tokio::{net::UnixStream, sync::oneshot, time::timeout};
use zeroize::Zeroizing;

use super::{
    Desk,
    frames::{self, Answer},
};
use crate::{
    claim::{Claim, claim},
    identify::{Identity, Peer},
    place::Place,
    round::{Arrival, Waiting},
};

/// Holds a session with `peer`, from its request to the delivery.
pub(super) async fn hold(desk: &Desk, peer: &Peer, request: &WorkloadRequest, stream: &mut UnixStream) -> Result<(), Answer> {
    let arrival = desk.arrivals.begin();
    let identity = desk.identifier.identify(peer).await?;
    let session = desk.sessions.open(peer.pid(), &identity)?;
    let result = steps(desk, peer, &identity, request, arrival, stream).await;
    // Where nothing was decided, the container may ask again.
    if !result.as_ref().is_err_and(|answer| answer.retry) {
        session.close();
    }
    result
}

/// Claim, round, hand over: once the pod log has the container's start.
async fn steps(
    desk: &Desk,
    peer: &Peer,
    identity: &Identity,
    request: &WorkloadRequest,
    arrival: Arrival,
    stream: &mut UnixStream,
) -> Result<(), Answer> {
    desk.gate.pass(&identity.container_id, desk.bounds.identify).await?;
    let token = token(desk, identity, request);
    let Claim { leaf, attachments } = claim(&desk.node, identity, request, &token, &desk.bounds.limits);
    let delivery = outcome(desk, arrival, leaf.clone(), attachments).await?;
    hand_over(desk, peer, identity, leaf, delivery, stream).await
}

/// The launcher's token, or else the one that the kubelet brought with the pod's volume.
fn token(desk: &Desk, identity: &Identity, request: &WorkloadRequest) -> Zeroizing<Vec<u8>> {
    match &desk.tokens {
        Some(tokens) if request.token.is_empty() => tokens.of(&identity.pod_uid),
        _ => Zeroizing::new(request.token.clone()),
    }
}

/// What the verifier says about a leaf, by way of the next round.
async fn outcome(desk: &Desk, arrival: Arrival, leaf: Vec<u8>, attachments: Vec<Vec<u8>>) -> Result<Vec<u8>, Answer> {
    let (answer, outcome) = oneshot::channel();
    let steps = async {
        let ended = || Answer::late("the attester is ending");
        desk.rounds.send(Waiting { leaf, attachments, answer }).await.map_err(|_| ended())?;
        drop(arrival);
        match outcome.await.map_err(|_| ended())? {
            Ok(Outcome::Delivered(delivery)) => Ok(delivery),
            Ok(Outcome::Refused { reason, audit_id }) => Err(Answer::decided(reason, audit_id)),
            Err(error) => Err(Answer::from(&*error)),
        }
    };
    timeout(desk.bounds.round, steps).await.unwrap_or_else(|_| Err(Answer::late("no outcome within limits.round_ms")))
}

/// Deliver: the container is identified once more, has its place for secrets, and then gets the reply.
async fn hand_over(
    desk: &Desk,
    peer: &Peer,
    identity: &Identity,
    leaf: Vec<u8>,
    delivery: Vec<u8>,
    stream: &mut UnixStream,
) -> Result<(), Answer> {
    desk.identifier.confirm(peer, identity).await?;
    desk.gate.pass(&identity.container_id, desk.bounds.identify).await?;
    let place = Place::mount(peer, desk.bounds.secrets_bytes).await?;
    let audit_id = audit_id(&delivery, &desk.bounds.limits).unwrap_or_default();
    let (entrypoint, cmd) = (identity.image.entrypoint.clone(), identity.image.cmd.clone());
    let reply = WorkloadReply::Delivered { leaf, delivery, entrypoint, cmd };
    let Identity { namespace, pod, container, container_id, .. } = identity;
    match frames::send(stream, &reply, &desk.bounds).await {
        Ok(()) => tracing::info!(namespace, pod, container, container_id, audit_id, "delivered"),
        Err(error) => {
            tracing::warn!(namespace, pod, container, container_id, audit_id, %error, "the delivery was not taken");
            if let Err(error) = place.unmount().await {
                tracing::warn!(%error, "the place was not unmounted");
            }
        }
    }
    Ok(())
}

/// The audit id, for the log. Nothing is verified: whether the receipt holds is the launcher's to decide.
fn audit_id(delivery: &[u8], limits: &Limits) -> Option<String> {
    let receipt = Delivery::decode(delivery, limits).ok()?.receipt;
    Some(Receipt::decode(&receipt, limits).ok()?.context.audit_id)
}
