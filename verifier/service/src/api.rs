//! The gRPC interface: who may call what, how many at a time, and what is said when something is wrong.

mod admin;
mod attestation;
mod documents;
mod gate;
mod history;
mod nodes;
mod reply;
mod routes;
mod secrets;

use std::{io, sync::Arc, time::Duration};

use podseal_endorsements::Gatherer;
use podseal_protocol::Limits;
use podseal_wire::{admin_server::AdminServer, attestation_server::AttestationServer};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::{
    accept::Connection, archive::Archive, config::Config, exchange::Exchanges, keyring::Keyring, rejections::Rejections,
    release::Committer, store::Store,
};

/// Beyond a protocol message: the gRPC frame around it.
const FRAME: usize = 1 << 10;
/// One administrator's request: a policy or a key set, and what is around it.
const ADMIN_REQUEST: usize = 2 << 20;
/// One page of the log, or the archive of one decision.
const ADMIN_REPLY: usize = 64 << 20;
/// Idle connections are asked whether they live.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Requests at a time on one connection.
const STREAMS: u32 = 32;

/// Everything that answering a request needs.
#[derive(Debug)]
pub struct Verifier {
    /// The configuration.
    pub config: Config,
    /// The keys.
    pub keys: Arc<Keyring>,
    /// The store.
    pub store: Store,
    /// The archive.
    pub archive: Archive,
    /// Requests that were nobody's.
    pub rejections: Arc<Rejections>,
    /// What makers say of hardware.
    pub gatherer: Gatherer,
    /// What answers exchanges.
    pub exchanges: Exchanges,
    /// The one that writes.
    pub committer: Committer,
}

/// Serves until `stop`, then finishes what has begun.
///
/// # Errors
/// The transport failed.
pub async fn serve(
    verifier: Arc<Verifier>,
    connections: ReceiverStream<io::Result<Connection>>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let limits = verifier.config.limits;
    let message = Limits::DEFAULT.message + FRAME;
    let attestation = AttestationServer::new(attestation::AttestationApi(Arc::clone(&verifier)))
        .max_decoding_message_size(message)
        .max_encoding_message_size(message);
    let gate = gate::GateLayer::new(&verifier.config);
    let admin = AdminServer::new(admin::AdminApi(verifier)).max_decoding_message_size(ADMIN_REQUEST).max_encoding_message_size(ADMIN_REPLY);
    Server::builder()
        .timeout(limits.request)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(16 << 10)
        .layer(gate)
        .serve_with_incoming_shutdown(routes::Routes { attestation, admin }, connections, stop)
        .await
}
