//! Serving: open everything, say so, serve, drain, close.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use podseal_endorsements::{Gatherer, GathererError};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::ReceiverStream;
use tracing::{info, warn};

use crate::{
    accept::accept,
    api::{self, Verifier},
    archive::{Archive, ArchiveError},
    clock,
    config::Config,
    exchange::Exchanges,
    kek::{self, KekError},
    keyring::{self, Keyring, KeyringError},
    rejections::Rejections,
    release::Committer,
    store::{Missing, Store, StoreError},
    tls::{self, TlsError},
};

/// Connections whose handshake is done and that nobody has taken yet.
const ACCEPTED: usize = 16;
/// How long what has begun may take to finish.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the verifier does not serve.
#[derive(Debug, Error)]
pub enum RunError {
    /// The KEK.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The folder of endorsements, or the services' TLS roots.
    #[error(transparent)]
    Endorsements(#[from] GathererError),
    /// Another one serves from the same directory, or there is none.
    #[error("{directory}: {problem}: end the podseal-verifier that serves from it, or see whether it is there")]
    Directory {
        /// Where the database lies.
        directory: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
    /// The address.
    #[error("listen {address}: {error}: choose another address, or end the process that holds it")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("signals: {0}: see what limits the process")]
    Signal(io::Error),
    /// The transport failed.
    #[error("serving: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Opens everything that the configuration names, and closes it again: what `check-config` does beyond reading.
///
/// # Errors
/// [`RunError`].
pub async fn check(config: &Config) -> Result<String, RunError> {
    let (store, keys) = open(config).await?;
    store.close().await;
    Ok(keys.verifier().to_string())
}

async fn open(config: &Config) -> Result<(Store, Arc<Keyring>), RunError> {
    let kek = kek::load(&config.kek_file)?;
    let store = Store::open(&config.database, Missing::Refuse).await?;
    let keys = Keyring::load(&store, kek).await?;
    Ok((store, Arc::new(keys)))
}

/// Holds the database's directory for this process: two would each decide on a state that the other changes.
fn hold_alone(database: &Path) -> Result<fs::File, RunError> {
    let directory = database.parent().unwrap_or(Path::new("/"));
    let failed = |problem| RunError::Directory { directory: directory.to_owned(), problem };
    let held = fs::File::open(directory).map_err(failed)?;
    held.try_lock().map_err(|error| failed(error.into()))?;
    Ok(held)
}

/// Serves until SIGTERM or SIGINT, then finishes what has begun.
///
/// # Errors
/// [`RunError`].
pub async fn run(config: Config) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    let held = hold_alone(&config.database)?;
    let (store, keys) = open(&config).await?;
    let identity = tls::issue(&keyring::root(&store, keys.kek()).await?, clock::now())?;
    let tls = tls::server_config(&identity, config.admins.keys().copied().collect())?;
    let archive = Archive::open(config.archive_directory.clone(), Arc::clone(&keys))?;
    let (committer, committing) = Committer::start(store.clone(), archive.clone(), Arc::clone(&keys));

    let listen = |error| RunError::Listen { address: config.listen.to_string(), error };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let (accepted, connections) = mpsc::channel(ACCEPTED);
    let accepting = tokio::spawn(accept(listener, tls, config.limits.connections, accepted));

    let rejections = Arc::new(Rejections::default());
    let gatherer = Gatherer::new(config.endorsements.clone(), Arc::new(|_, _| Ok(())))?;
    let judged = (config.hardware.clone(), gatherer.clone());
    let limits = podseal_protocol::Limits::DEFAULT;
    let exchanges = Exchanges::new(store.clone(), Arc::clone(&keys), committer.clone(), Arc::clone(&rejections), judged, limits);
    let (stopping, stopped) = oneshot::channel::<()>();
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: finishing what has begun"),
            _ = interrupt.recv() => info!("SIGINT: finishing what has begun"),
        }
        drop(stopping);
    };
    info!(%address, verifier = %keys.verifier(), "ready");
    let verifier = Arc::new(Verifier { config, keys, store: store.clone(), archive, rejections, exchanges, gatherer, committer });
    let drained = async {
        let served = api::serve(verifier, ReceiverStream::new(connections), stop).await;
        // The last handle went with the server: the task ends when its queue is empty. A panic of it was logged where it happened.
        let _ = committing.await;
        store.close().await;
        served
    };
    let overdue = async {
        // An error says that the sender is gone, which is the signal.
        let _ = stopped.await;
        tokio::time::sleep(DRAIN).await;
    };
    let served = tokio::select! {
        served = drained => served,
        () = overdue => {
            warn!("clients did not leave in time: what is not committed is rolled back");
            Ok(())
        }
    };
    accepting.abort();
    info!("stopped");
    drop(held);
    Ok(served?)
}
