//! Serving: open everything, say so, serve, leave, drain.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::{
    config::Config,
    http::Webhook,
    tls::{self, Current, TlsError},
};

/// From the first byte to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// For a request's head, and between two requests. API servers give up an idle connection after 90 s; they are to be the first.
const HEAD: Duration = Duration::from_secs(100);
/// Before accepting again after the system refused (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// Why the webhook does not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address.
    #[error("listen {address}: {error}: choose another address, or end the process that holds it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("signals: {0}: see what limits the process")]
    Signal(io::Error),
}

/// Reads certificate and key: what `check-config` does beyond reading the configuration.
///
/// # Errors
/// [`TlsError`].
pub fn check(config: &Config) -> Result<(), TlsError> {
    tls::server_config(Arc::new(Current::load(&config.tls)?)).map(drop)
}

/// Serves until SIGTERM or SIGINT, then finishes what has begun.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: Config) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    let certificate = Arc::new(Current::load(&config.tls)?);
    let acceptor = TlsAcceptor::from(tls::server_config(Arc::clone(&certificate))?);
    let refused = |error| ServeError::Listen { address: config.listen, error };
    let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;

    let webhook = Arc::new(Webhook::new(config.verifier, config.bounds.request));
    let (stopping, stopped) = watch::channel(());
    let slots = Arc::new(Semaphore::new(config.bounds.connections));
    let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&webhook), Arc::clone(&slots), stopped));
    let renewing = tokio::spawn(tls::keep_current(certificate, config.reload));
    info!(%address, verifier = %config.verifier, "ready");

    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: finishing what has begun"),
        _ = interrupt.recv() => info!("SIGINT: finishing what has begun"),
    }
    webhook.leave();
    sleep(config.bounds.leave).await;
    drop(stopping);
    // Every slot is free when the last connection is gone.
    let all = u32::try_from(config.bounds.connections).unwrap_or(u32::MAX);
    if timeout(config.bounds.drain, slots.acquire_many(all)).await.is_err() {
        warn!("clients did not leave in time");
    }
    accepting.abort();
    renewing.abort();
    info!("stopped");
    Ok(())
}

/// Accepts until it is stopped. At most as many connections as there are slots are open at a time; others wait in the kernel's queue.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    webhook: Arc<Webhook>,
    slots: Arc<Semaphore>,
    mut stopped: watch::Receiver<()>,
) {
    loop {
        let incoming = tokio::select! {
            // An error says that the sender is gone, which is the signal.
            _ = stopped.changed() => return,
            incoming = async {
                let counted = Arc::clone(&slots).acquire_owned().await;
                (counted, listener.accept().await)
            } => incoming,
        };
        match incoming {
            (Ok(counted), Ok((tcp, address))) => {
                let (acceptor, webhook, stopped) = (acceptor.clone(), Arc::clone(&webhook), stopped.clone());
                tokio::spawn(async move {
                    connection(&acceptor, tcp, address, webhook, stopped).await;
                    drop(counted);
                });
            }
            (Ok(_), Err(error)) => {
                warn!(%error, "accepting failed");
                sleep(PAUSE).await;
            }
            (Err(_), _) => return,
        }
    }
}

async fn connection(acceptor: &TlsAcceptor, tcp: TcpStream, address: SocketAddr, webhook: Arc<Webhook>, mut stopped: watch::Receiver<()>) {
    // Without it small replies wait for acknowledgements; failing to set it only costs time.
    let _ = tcp.set_nodelay(true);
    let tls = match timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return debug!(%address, %error, "TLS handshake failed"),
        Err(_) => return debug!(%address, "TLS handshake took too long"),
    };
    let service = service_fn(move |request| {
        let webhook = Arc::clone(&webhook);
        async move { Ok::<_, Infallible>(webhook.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 << 10);
    let mut serving = pin!(http.serve_connection(TokioIo::new(tls), service));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        debug!(%address, %error, "the connection ended");
    }
}
